package report

import (
	"fmt"
	"strings"
)

// HTML is the report as one file that loads nothing.
func (d Document) HTML() ([]byte, error) {
	parts, err := d.parts()
	if err != nil {
		return nil, err
	}
	return html(parts), nil
}

// HTML is the overview as one file that loads nothing.
func (o Overview) HTML() ([]byte, error) {
	parts, err := o.parts()
	if err != nil {
		return nil, err
	}
	return html(parts), nil
}

const style = `
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#16181d;font:16px/1.5 "DejaVu Sans","Segoe UI",Roboto,"Noto Sans",Arial,sans-serif;overflow-wrap:anywhere}
main,nav.top{max-width:56rem;margin:0 auto;padding:0 1.25rem}
nav.top{padding-top:1rem;display:flex;gap:1.25rem;flex-wrap:wrap}
a{color:#0b4a8f}
article.part{padding:1.5rem 0 2.5rem;border-bottom:3px solid #16181d}
article.part:last-child{border:0}
h1{font-size:1.75rem;line-height:1.25;margin:.2rem 0 .6rem}
h2{font-size:1.25rem;margin:2.2rem 0 .7rem;padding-bottom:.25rem;border-bottom:1px solid #b9bec8}
h3{font-size:1.02rem;line-height:1.35;margin:0 0 .35rem}
.number{color:#5a6170;font-weight:400;margin-right:.6rem}
.lead,.quiet{color:#454b57}
nav.contents ul{columns:2;padding-left:1.1rem;margin:.5rem 0}
.card{border-left:3px solid #c9cdd6;padding:.1rem 0 .1rem .9rem;margin:0 0 1.15rem;break-inside:avoid}
.card.good{border-color:#1d6b3f}.card.bad{border-color:#a3201d}.card.open{border-color:#8a5a00}
.badge{white-space:nowrap;margin-left:.3rem;font-size:.82rem;font-weight:600;border:1px solid currentColor;border-radius:.2rem;padding:0 .45rem;color:#454b57}
.badge.good{color:#1d6b3f}.badge.bad,p.bad{color:#a3201d}.badge.open{color:#8a5a00}
p.bad{font-weight:600}
dl{display:grid;grid-template-columns:minmax(9rem,13.5rem) 1fr;gap:.1rem 1rem;margin:.2rem 0 1rem}
.card dl{margin-bottom:0}
dt{color:#5a6170}
dd{margin:0;grid-column:2}
dd.good{color:#1d6b3f}dd.bad{color:#a3201d}dd.open{color:#8a5a00}
dd.strong{font-weight:600}
.mono{font:.86em/1.55 "DejaVu Sans Mono",Consolas,Menlo,monospace}
pre{background:#f3f4f7;border:1px solid #dde0e6;padding:.6rem .8rem;white-space:pre-wrap;font:.84rem/1.5 "DejaVu Sans Mono",Consolas,Menlo,monospace;margin:.4rem 0 .9rem}
@media(max-width:34rem){dl{grid-template-columns:1fr}dd{grid-column:1;margin-bottom:.3rem}nav.contents ul{columns:1}body{font-size:15px}h1{font-size:1.4rem}}
@media print{body{font-size:9.5pt}nav.top,nav.contents{display:none}article.part{break-after:page;border:0;padding:0}article.part:last-child{break-after:auto}h2,h3{break-after:avoid}a{color:inherit;text-decoration:none}main{max-width:none;padding:0}dl{grid-template-columns:11rem 1fr}}
@page{size:A4;margin:18mm 15mm}
`

// page writes HTML.
type page struct{ strings.Builder }

// html sets parts in one file. Everything that is not of this package's own
// making goes through escaped.
func html(parts []part) []byte {
	var p page
	fmt.Fprintf(&p, "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n", parts[0].language)
	p.WriteString(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` + "\n")
	p.WriteString(`<meta name="viewport" content="width=device-width, initial-scale=1">` + "\n")
	fmt.Fprintf(&p, "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<nav class=\"top\">", escaped(parts[0].title), style)
	for _, one := range parts {
		fmt.Fprintf(&p, `<a href="#%s" lang="%[1]s" hreflang="%[1]s">%s</a>`, one.language, escaped(one.say("language")))
	}
	p.WriteString("</nav>\n<main>\n")
	for _, one := range parts {
		p.part(one)
	}
	p.WriteString("</main>\n</body>\n</html>\n")
	return []byte(p.String())
}

func (p *page) part(one part) {
	id := func(s section) string { return one.language + "-" + s.id }
	fmt.Fprintf(p, "<article class=\"part\" id=\"%s\" lang=\"%[1]s\">\n<h1>%s</h1>\n<p class=\"lead\">%s</p>\n<nav class=\"contents\"><ul>",
		one.language, escaped(one.title), escaped(one.lead))
	for _, s := range one.sections {
		fmt.Fprintf(p, `<li><a href="#%s">%s</a></li>`, id(s), escaped(s.title))
	}
	p.WriteString("</ul></nav>\n")
	for _, s := range one.sections {
		fmt.Fprintf(p, "<section aria-labelledby=\"%s\">\n<h2 id=\"%[1]s\">%s</h2>\n", id(s), escaped(s.title))
		for _, b := range s.blocks {
			p.block(b)
		}
		p.WriteString("</section>\n")
	}
	p.WriteString("</article>\n")
}

func (p *page) block(b block) {
	switch {
	case b.card != nil:
		fmt.Fprintf(p, "<div class=\"%s\">\n<h3>", strings.TrimSpace("card "+string(b.card.tone)))
		if b.card.number != "" {
			fmt.Fprintf(p, `<span class="number">%s</span>`, escaped(b.card.number))
		}
		fmt.Fprintf(p, "<bdi>%s</bdi>", escaped(b.card.title))
		if b.card.badge != "" {
			fmt.Fprintf(p, ` <span class="%s">%s</span>`, strings.TrimSpace("badge "+string(b.card.tone)), escaped(b.card.badge))
		}
		p.WriteString("</h3>\n")
		p.facts(b.card.facts)
		p.WriteString("</div>\n")
	case b.facts != nil:
		p.facts(b.facts)
	case b.code != nil:
		var lines []string
		for _, line := range b.code {
			lines = append(lines, escaped(line))
		}
		fmt.Fprintf(p, "<pre>%s</pre>\n", strings.Join(lines, "\n"))
	default:
		fmt.Fprintf(p, "<p%s>%s</p>\n", class(string(b.tone)), escaped(b.text))
	}
}

func (p *page) facts(all []fact) {
	p.WriteString("<dl>\n")
	for _, f := range all {
		if f.value == "" {
			continue
		}
		if f.label != "" {
			fmt.Fprintf(p, "<dt>%s</dt>", escaped(f.label))
		}
		value := "<bdi>" + escaped(f.value) + "</bdi>"
		if f.link != "" {
			value = `<a href="` + escaped(reference(f.link)) + `">` + value + "</a>"
		}
		names := string(f.tone)
		if f.mono {
			names += " mono"
		}
		if f.strong {
			names += " strong"
		}
		fmt.Fprintf(p, "<dd%s>%s</dd>\n", class(names), value)
	}
	p.WriteString("</dl>\n")
}

func class(names string) string {
	if names = strings.TrimSpace(names); names == "" {
		return ""
	}
	return ` class="` + names + `"`
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// escaped is text for an element or a quoted attribute, without what would
// turn the order of reading.
func escaped(text string) string {
	return escapes.Replace(strings.Map(func(r rune) rune {
		if unreadable(r) {
			return missing
		}
		return r
	}, oneLine(text)))
}

// missing stands for a character that is not shown.
const missing = '\ufffd'

// oneLine keeps a value on its line, and to a length that can be read.
func oneLine(text string) string {
	if len(text) > maxText {
		count := 0
		for at := range text {
			if count++; count > maxText {
				text = text[:at] + "…"
				break
			}
		}
	}
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, text)
}

// unreadable says that a character shows as nothing or as something else:
// controls, marks of direction, invisible letters. The list is fixed here,
// since Unicode's own grows.
func unreadable(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, r == 0xad, r == 0x61c, r == 0x180e,
		r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f,
		r >= 0xd800 && r <= 0xf8ff, r == 0xfeff, r >= 0xfff0 && r <= 0xfffc, r == 0xfffe, r == 0xffff,
		r >= 0xe0000:
		return true
	}
	return false
}

// reference writes an entry's path as a relative reference (RFC 3986). The
// dot keeps a name with a colon from passing for a scheme.
func reference(entry string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString("./")
	for i := range len(entry) {
		c := entry[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}
