package fileformat_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/fileformat"
	"dalel/domain/wording"
	"dalel/internal/fault"
)

func TestCheckName_takesNamesAsPeopleWriteThem(t *testing.T) {
	for _, name := range []string{
		"a", "Договор №17 от 05.03.2026.pdf", "Қызмет көрсету шарты (әғқңөұүһі).docx", "Invoice_2026-03 [final], v2.xlsx",
		"съёмка й.jpg", "合同.pdf", "Акт & счёт = 100%.pdf", "console.txt", "com10.txt", "lpt.txt", "a.con", "~tmp$.txt", "-f.txt", "COMé.pdf",
		strings.Repeat("a", 150), strings.Repeat("ә", 120),
	} {
		require.NoError(t, fileformat.CheckName(name), "%q", name)
	}
}

func TestCheckName_refusesWhatSomeSystemCannotTake(t *testing.T) {
	for _, name := range []string{
		"", " ", ".", "..", "...", ".hidden", "ends.", "ends ", " begins", "../up.pdf", "a/b", `a\b`, `C:\a`, "a:b", "a*b", "a?b", `a"b`, "a<b", "a>b", "a|b",
		"a\ufffdb",
		"bad\xffutf8", "\xed\xa0\x80", "и\u0306.pdf", "e\u0301", "\u212b",
		"CON", "con", "Con.txt", "con.tar.gz", "PRN", "aux.pdf", "NUL", "nul.", "COM1", "com0.txt", "LPT9.pdf", "lpt1", "COM\u00b9", "lpt\u00b3.txt", "CONIN$", "conout$.txt", "CON .txt", "clock$",
		strings.Repeat("a", 151), strings.Repeat("ә", 121),
	} {
		err := fileformat.CheckName(name)
		require.Truef(t, fault.Is(err, fault.FileInvalid), "%q: got %v", name, err)
	}
}

func TestCheckName_namesACharacterThatNobodySeesAndItsPlace(t *testing.T) {
	for _, name := range []string{
		"a\x00b", "a\nb", "a\tb", "a\x7fb", "a\u0085b", "a\u00a0b", "a\u2028b", "\u202efdp.exe", "a\u200bb", "a\ufeffb", "a\u00adb", "a\u2066b", "a\u3164b", "a\ue000b",
		"a\ufe0fb", "a\U000e0041b", "a\u115fb", "a\u200db", "a \u0301.pdf",
	} {
		err := fileformat.CheckName(name)
		require.Truef(t, fault.Is(err, fault.TextCharacter), "%q: got %v", name, err)
	}
	require.EqualError(t, fileformat.CheckName("ab\u200bc.pdf"), "text.character: the file's name has the character U+200B at character 3, which is not allowed here")
}

func TestR_D1_namesAsFileSystemsWriteThemBecomeNamesOfFiles(t *testing.T) {
	for name, want := range map[string]string{
		"Screenshot 9.03.11\u202fPM.png": "Screenshot 9.03.11 PM.png", "Letter\u00a05.txt": "Letter 5.txt", "Счёт и\u0306.txt": "Счёт й.txt",
	} {
		require.Error(t, fileformat.CheckName(name), "%q", name)
		require.Equal(t, want, wording.Tidy(name))
		require.NoError(t, fileformat.CheckName(want))
		require.Equal(t, fileformat.Fold(want), fileformat.Fold(name))
	}
	require.Equal(t, fileformat.Fold("\u2714.pdf"), fileformat.Fold("\u2714\ufe0f.pdf"), "nobody can tell them apart")
}

func TestFold_isTheSameForNamesThatDifferByCase(t *testing.T) {
	for _, pair := range [][2]string{{"Шарт.PDF", "шарт.pdf"}, {"ӘҒҚҢӨҰҮҺІ", "әғқңөұүһі"}, {"straße", "STRASSE"}, {"Ёлка", "ёлка"}} {
		require.Equal(t, fileformat.Fold(pair[0]), fileformat.Fold(pair[1]))
	}
	require.NotEqual(t, fileformat.Fold("i.pdf"), fileformat.Fold("і.pdf"), "Latin i and Cyrillic i are two letters")
}

func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"Шарт.pdf", "../a", "CON.txt", "и\u0306", "a\u202eb", "ΐ", "ǰ", "İ"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		folded := fileformat.Fold(name)
		if err := fileformat.CheckName(name); err != nil {
			require.True(t, fault.Is(err, fault.FileInvalid) || fault.Is(err, fault.TextCharacter))
			return
		}
		require.True(t, fs.ValidPath(name) && filepath.IsLocal(name) && filepath.Base(name) == name)
		require.Less(t, len(name), 256)
		require.Equal(t, folded, fileformat.Fold(folded), "folding twice must change nothing")
	})
}
