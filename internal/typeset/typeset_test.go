package typeset_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"

	"dalel/domain/fileformat"
	"dalel/internal/fault"
	"dalel/internal/typeset"
)

// examples are the three documents with parties that do not exist.
func examples() map[string]typeset.ContractData {
	seller := typeset.Party{
		Name: typeset.Text{RU: "ТОО «Жетісу Инжиниринг»", KK: "«Жетісу Инжиниринг» ЖШС"}, IDKind: "БИН", ID: "180340012346",
		Address: typeset.Text{RU: "050010, г. Алматы, пр. Достык, 91, офис 14", KK: "050010, Алматы қ., Достық даңғылы, 91, 14-кеңсе"},
		Bank:    "АО «Банк Примера»", Account: "KZ86125KZT5004100100", BankCode: "PRMRKZKA", BeneficiaryCode: "17",
		Phone: "+7 727 000 00 01", Email: "office@jetisu.example",
		Position: typeset.Text{RU: "Директор", KK: "Директор"}, Signer: "Әбенова Г. Қ.",
	}
	buyer := typeset.Party{
		Name: typeset.Text{RU: "АО «Құрылыс Өнім»", KK: "«Құрылыс Өнім» АҚ"}, IDKind: "БИН", ID: "090240007654",
		Address: typeset.Text{RU: "010000, г. Астана, ул. Кенесары, 40", KK: "010000, Астана қ., Кенесары көшесі, 40"},
		Bank:    "АО «Банк Примера»", Account: "KZ31125KZT5004100217", BankCode: "PRMRKZKA", BeneficiaryCode: "16",
		Phone: "+7 7172 00 00 02", Email: "kense@qurylys.example",
		Position: typeset.Text{RU: "Председатель Правления", KK: "Басқарма төрағасы"}, Signer: "Ысқақов Н. Ұ.",
	}
	almaty := typeset.Text{RU: "г. Алматы", KK: "Алматы қ."}
	hour, set := typeset.Text{RU: "час", KK: "сағат"}, typeset.Text{RU: "компл.", KK: "жинақ"}
	services := []typeset.Item{
		{Name: typeset.Text{RU: "Обследование инженерных сетей административного здания"}, Unit: hour, Quantity: 120, Price: 1_250_000},
		{Name: typeset.Text{RU: "Разработка проектной документации, стадия «Рабочий проект»"}, Unit: set, Quantity: 1, Price: 348_000_000},
		{Name: typeset.Text{RU: "Авторский надзор"}, Unit: hour, Quantity: 40, Price: 1_500_050},
	}
	goods := []typeset.Item{
		{Name: typeset.Text{RU: "Насос циркуляционный", KK: "Айналым сорғысы"}, Unit: typeset.Text{RU: "шт.", KK: "дана"}, Quantity: 12, Price: 18_900_000},
		{Name: typeset.Text{RU: "Шкаф управления", KK: "Басқару шкафы"}, Unit: set, Quantity: 3, Price: 74_550_000},
		{Name: typeset.Text{RU: "Кабель силовой ВВГнг 3х2,5", KK: "ВВГнг 3х2,5 күштік кәбілі"}, Unit: typeset.Text{RU: "м", KK: "м"}, Quantity: 1500, Price: 62_000},
	}
	return map[string]typeset.ContractData{
		"services": typeset.Services(typeset.Details{Number: "17/2026-У", Date: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC), City: almaty,
			Seller: seller, Buyer: buyer, Items: services, VATPercent: 16}),
		"supply": typeset.Supply(typeset.Details{Number: "42-Ж", Date: time.Date(2026, 4, 14, 0, 0, 0, 0, time.UTC), City: almaty,
			Seller: seller, Buyer: buyer, Items: goods, VATPercent: 16}),
		"completion": typeset.Completion(typeset.Details{Number: "1", Date: time.Date(2026, 5, 29, 0, 0, 0, 0, time.UTC), City: almaty,
			Seller: seller, Buyer: buyer, Items: services, Basis: "№ 17/2026-У от 05.03.2026"}),
	}
}

func TestContract_isAValidPDFAndAlwaysTheSame(t *testing.T) {
	for name, data := range examples() {
		first, err := typeset.Contract(data)
		require.NoError(t, err)
		for range 3 {
			again, err := typeset.Contract(data)
			require.NoError(t, err)
			require.True(t, bytes.Equal(first, again), "%s: the same data gave other bytes", name)
		}
		conf := model.NewDefaultConfiguration()
		conf.ValidationMode = model.ValidationStrict
		require.NoError(t, api.Validate(bytes.NewReader(first), conf), name)
		reader, err := fileformat.Reader("application/pdf", bytes.NewReader(first))
		require.NoError(t, err)
		_, err = new(bytes.Buffer).ReadFrom(reader)
		require.NoError(t, err, "the ledger itself must take %s", name)

		if dir := os.Getenv("DALEL_TYPESET_DIR"); dir != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".pdf"), first, 0o644))
		}
		t.Logf("%s: %d KiB", name, len(first)>>10)

		data.Number += "a"
		other, err := typeset.Contract(data)
		require.NoError(t, err)
		require.False(t, bytes.Equal(first, other), "another number must show")
	}
}

func TestContract_textCanBeTakenOutAgain(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("pdftotext is not installed")
	}
	wanted := map[string][]string{
		"services":   {"ДОГОВОР № 17/2026-У", "возмездного оказания услуг", "«05» марта 2026 года", "БИН 180340012346", "Құрылыс Өнім", "1.1.", "7.3.", "5 580 020,00", "в том числе НДС 16 %", "769 657,93", "Ысқақов Н. Ұ.", "Страница 1 из 2"},
		"supply":     {"ШАРТ", "тауарларды жеткізу туралы", "2026 жылғы «14» сәуір", "БСН", "180340012346", "Әбенова Г. Қ.", "Сатып алушы", "Покупатель", "5 434 500,00"},
		"completion": {"АКТ № 1", "№ 17/2026-У от 05.03.2026", "Без НДС", "5 580 020,00"},
	}
	for name, data := range examples() {
		content, err := typeset.Contract(data)
		require.NoError(t, err)
		command := exec.CommandContext(t.Context(), "pdftotext", "-layout", "-", "-")
		command.Stdin = bytes.NewReader(content)
		out, err := command.Output()
		require.NoError(t, err)
		text := regexp.MustCompile(`[\s\x{a0}]+`).ReplaceAllString(string(out), " ")
		for _, want := range wanted[name] {
			require.Contains(t, text, want, name)
		}
		if data.Bilingual {
			for _, letter := range "әғқңөұүһіӘҚӨҰ" {
				if strings.ContainsRune("һ", letter) {
					continue // no word of this contract has it; see the test below
				}
				require.Contains(t, text, string(letter), "%s: a Kazakh letter is lost", name)
			}
		}
	}
}

func TestContract_hasEveryKazakhLetter(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("pdftotext is not installed")
	}
	data := examples()["completion"]
	const letters = "әғқңөұүһіӘҒҚҢӨҰҮҺІ₸"
	data.Title = typeset.Text{RU: letters}
	content, err := typeset.Contract(data)
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "pdftotext", "-", "-")
	command.Stdin = bytes.NewReader(content)
	out, err := command.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), letters)
}

func TestContract_refusesWhatItCannotSet(t *testing.T) {
	for what, change := range map[string]func(*typeset.ContractData){
		"no number":              func(d *typeset.ContractData) { d.Number = "" },
		"no date":                func(d *typeset.ContractData) { d.Date = time.Time{} },
		"no buyer":               func(d *typeset.ContractData) { d.Buyer = typeset.Party{} },
		"a picture":              func(d *typeset.ContractData) { d.Title.RU = "\U0001f600" },
		"a letter turned around": func(d *typeset.ContractData) { d.Seller.Signer = "\u202eabc" },
	} {
		data := examples()["services"]
		change(&data)
		_, err := typeset.Contract(data)
		require.Truef(t, fault.Is(err, fault.DocumentInvalid), "%s: got %v", what, err)
	}
}

func TestTenge(t *testing.T) {
	for tiyn, want := range map[int64]string{0: "0,00", 5: "0,05", 99_999: "999,99", 100_000: "1\u00a0000,00", 123_456_789_01: "123\u00a0456\u00a0789,01", -150: "-1,50"} {
		require.Equal(t, want, typeset.Tenge(tiyn))
	}
}

func BenchmarkContract(b *testing.B) {
	data := examples()["supply"]
	for b.Loop() {
		if _, err := typeset.Contract(data); err != nil {
			b.Fatal(err)
		}
	}
}
