package charset

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestEveryEncoding: a page in each encoding of the WHATWG standard is read as
// declared, in the header and in the page.
func TestEveryEncoding(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"utf-8": viet, "ibm866": russian, "iso-8859-2": polish, "iso-8859-3": "Ĉiuj homoj estas denaske liberaj kaj egalaj laŭ digno kaj rajtoj.",
		"iso-8859-4": "Visi cilvēki piedzimst brīvi un vienlīdzīgi", "iso-8859-5": russian, "iso-8859-6": "يولد جميع الناس أحرارا", "iso-8859-7": "Όλοι οι άνθρωποι",
		"iso-8859-8": hebrew, "iso-8859-8-i": hebrew, "iso-8859-10": "Buohkat leat riegádan friddjan", "iso-8859-13": "Visi žmonės gimsta laisvi ir lygūs",
		"iso-8859-14": "Genir pawb yn rhydd ac yn gydradd â'i gilydd ŵ", "iso-8859-15": "Prix: 5 € œuvre", "iso-8859-16": "Toate ființele umane se nasc libere și egale", "koi8-r": russian,
		"koi8-u": "Всі люди народжуються вільними і рівними у своїй гідності", "macintosh": french, "windows-874": thai, "windows-1250": czech, "windows-1251": russian,
		"windows-1252": german, "windows-1253": greek, "windows-1254": turkish, "windows-1255": hebrew, "windows-1256": arabic, "windows-1257": "Visi žmonės gimsta laisvi ir lygūs",
		"windows-1258": "tự do", "x-mac-cyrillic": russian, "gbk": chinese, "gb18030": chinese, "big5": taiwan, "euc-jp": japanese, "iso-2022-jp": japanese,
		"shift_jis": japanese, "euc-kr": korean,
	} {
		if name == "windows-1258" {
			text = "Viet Nam đ ơ ư" // its accents are characters of their own
		}
		for where, c := range map[string]struct{ head, header string }{
			"header": {"", "text/html; charset=" + name},
			"meta":   {"<meta charset=" + name + ">", "text/html"},
			"pragma": {`<meta http-equiv="Content-Type" content="text/html; charset=` + name + `">`, ""},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				want := page(c.head, text)
				got, enc := Decode(encode(t, named(t, name), want), c.header)
				if enc != name || string(got) != want {
					t.Errorf("read as %q; text right: %v: %.150q", enc, string(got) == want, got)
				}
			})
		}
	}
}

// TestOddBytes: NULs, broken sequences and UTF-16 in disguise never lose a page.
func TestOddBytes(t *testing.T) {
	t.Parallel()
	utf16 := func(name, s string) string { return string(encode(t, named(t, name), s)) }
	for _, c := range []struct {
		name, body, header, want, encoding string
	}{
		{"NUL in ASCII", "<p>a\x00b", "text/html", "<p>a\x00b", ""},
		{"NUL in undeclared UTF-8", page("", viet) + "\x00", "", page("", viet) + "\x00", "utf-8"},
		{"NULs in declared UTF-8", "<p>ä\x00\x00ö", "text/html; charset=utf-8", "<p>ä\x00\x00ö", "utf-8"},
		{"many NULs in undeclared Russian", strings.Repeat("\x00", 40) + string(encode(t, named(t, "windows-1251"), page("", russian))), "", strings.Repeat("\x00", 40) + page("", russian), "windows-1251"},
		{"UTF-16 without a mark, little end first", utf16("utf-16le", page("", german)), "text/html", page("", german), "utf-16le"},
		{"UTF-16 without a mark, big end first", utf16("utf-16be", page("", german)), "", page("", german), "utf-16be"},
		{"UTF-16 declared in the header", utf16("utf-16be", page("", japanese)), "text/html; charset=utf-16be", page("", japanese), "utf-16be"},
		{"UTF-16 declared as UTF-8", utf16("utf-16le", page("", english)), "text/html; charset=utf-8", page("", english), "utf-16le"},
		{"half a character of UTF-16", utf16("utf-16le", page("", english)) + "x", "", page("", english) + "\ufffd", "utf-16le"},
		{"overlong UTF-8", "<p>\xc0\xaf ä ö ü", "text/html; charset=utf-8", "<p>\ufffd ä ö ü", "utf-8"},
		{"surrogate in UTF-8", "<p>\xed\xa0\x80 ä ö ü ß", "text/html; charset=utf-8", "<p>\ufffd ä ö ü ß", "utf-8"},
		{"broken Shift_JIS", "<p>\x82", "text/html; charset=shift_jis", "<p>\ufffd", "shift_jis"},
		{"broken EUC-KR", "<p>\xb0", "text/html; charset=euc-kr", "<p>\ufffd", "euc-kr"},
		{"two marks", "\xef\xbb\xbf\xef\xbb\xbf<p>", "", "\ufeff<p>", "utf-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, enc := Decode([]byte(c.body), c.header)
			if string(got) != c.want || c.encoding != "" && enc != c.encoding {
				t.Errorf("read as %q: %.200q\nwant %.200q", enc, got, c.want)
			}
			if !utf8.Valid(got) {
				t.Error("not UTF-8")
			}
		})
	}
}

// TestLabels: encodings have several names.
func TestLabels(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]string{
		"latin1": "windows-1252", "ISO-8859-1": "windows-1252", "ascii": "windows-1252", "us-ascii": "windows-1252", "cp1251": "windows-1251", "x-sjis": "shift_jis",
		"ms_kanji": "shift_jis", "gb2312": "gbk", "ks_c_5601-1987": "euc-kr", "big5-hkscs": "big5", "UTF8": "utf-8", "unicode-1-1-utf-8": "utf-8", "l2": "iso-8859-2",
		"tis-620": "windows-874", "hebrew": "iso-8859-8", "logical": "iso-8859-8-i", "iso88599": "windows-1254", "koi": "koi8-r", "x-x-big5": "big5",
	} {
		body := []byte("<p>a")
		if want != "utf-8" {
			body = encode(t, named(t, want), "<p>a")
		}
		if _, got := Decode(append(body, 0xe4, 0x20), "text/html; charset="+label); got != want && want != "utf-8" {
			t.Errorf("%s is %s, want %s", label, got, want)
		}
	}
}
