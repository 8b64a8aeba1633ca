// Package pages is what people see in a browser: inbox, outbox, journal, one
// document with its parties, files, signatures and timeline, in Russian,
// Kazakh and English.
//
// Pages are HTML made here, with one style sheet, one small script and nothing
// from any other place; without the script all of it works but the timeline
// that updates by itself. No page holds a script or a style of its own, so the
// server can forbid both (Content-Security-Policy). What a page shows goes
// through html/template, which escapes it; there is no template.HTML in here.
//
// Every word stands in one catalogue, messages.txt, in all three languages.
// Tests keep it whole: each event type, status, kind and error code of the
// ledger has its text there, and no text is there in vain.
//
// # Signing in
//
// The session is a cookie that holds the access token: HttpOnly, so that no
// script reads it, and SameSite=Strict, so that no other site can act with it.
// No address that is sent to a server has a token in it. A link
// /signin#token=… holds it in the part that a browser keeps to itself; a script
// puts it into the form and takes it off the address. A link that was typed or
// opened from a program is followed by itself, one on another site waits for
// the button: no site chooses in whose name somebody works here. Who is signed
// in as another already is asked by a page that names both. A browser does not
// send a Strict cookie along with a navigation that another site began,
// redirects included, so the answer is no redirect but a page of our own that
// goes on at once. Such a link is as good as the token; it is for
// demonstrations and for an operator who hands a token out in person.
//
// Over TLS, to the server or to a proxy in front that says so, cookies are for
// TLS alone and the session's has the prefix __Host-.
//
// # What is shown to whom
//
// The table of routes says which role sees which page. What belongs to a
// document is read with the caller's own act, so the ledger itself refuses
// what the caller may not see. A recipient who opens a document is recorded,
// before it is shown: if that fails, so does the page.
//
// The operator keeps documents that it may not read. Its pages, under
// /operator, show ids, numbers, kinds, dates and parties, holds with their
// grounds, and letters of request; never a title, a file's name or a link to
// one. It orders a destruction only on a page that says what will be lost, and
// with a word typed in by hand, which the server checks.
//
// Of a document whose destruction is ordered nobody is shown a word any more:
// the pages leave out what the state leaves out, and what read models that are
// behind may still have. Its hashes, its timeline and its proof packet stay.
//
// The check page is for everybody who has a document's number (R-M3). It says
// what ledger.PublicView says, tells a mistyped number from an unknown one by
// its check digits alone, and bounds how many unknown numbers an address may
// try in a minute. Who holds a file or a proof packet uploads it there: package
// check answers, and what it cannot take is told beside the form that sent it.
//
// # The journal as a file
//
// [Journals] writes what the journal's page shows as CSV, XLSX and PDF, in its
// words and with its filter. A file that does not have all entries says so in
// its last line, and the page says so before.
package pages
