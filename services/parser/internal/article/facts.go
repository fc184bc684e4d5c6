package article

import (
	"crypto/sha256"
	"unicode"
	"unicode/utf8"

	"github.com/abadojack/whatlanggo"
	"github.com/cespare/xxhash/v2"
)

// Facts are those of a text.
type Facts struct {
	// Words in it; of scripts that are written without blanks, characters.
	Words int
	// SHA256 of the text.
	SHA256 [sha256.Size]byte
	// SimHash of its shingles of three words, without case: texts that differ in few
	// words differ in few bits, mostly in no more than three. 0 without a word.
	SimHash uint64
}

// FactsOf finds the facts of a text.
func FactsOf(text string) Facts {
	f := Facts{SHA256: sha256.Sum256([]byte(text))}
	var (
		last [shingle]uint64 // the hashes of the last words
		bits [64]int
		buf  []byte
	)
	add := func() {
		last[f.Words%shingle] = xxhash.Sum64(buf)
		buf = buf[:0]
		f.Words++
		if f.Words >= shingle {
			vote(&bits, mix(last, f.Words))
		}
	}
	for _, r := range text {
		switch {
		case isIdeograph(r):
			if len(buf) > 0 {
				add()
			}
			buf = utf8.AppendRune(buf, r)
			add()
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			buf = utf8.AppendRune(buf, unicode.ToLower(r))
		case len(buf) > 0:
			add()
		}
	}
	if len(buf) > 0 {
		add()
	}
	if f.Words > 0 && f.Words < shingle {
		vote(&bits, mix(last, f.Words))
	}
	for i, n := range bits {
		if n > 0 {
			f.SimHash |= 1 << i
		}
	}
	return f
}

// shingle is how many words are hashed together.
const shingle = 3

// mix makes one hash of the last words in their order.
func mix(last [shingle]uint64, words int) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for i := range shingle {
		h = (h ^ last[(words+i)%shingle]) * 0xff51afd7ed558ccd
		h ^= h >> 32
	}
	return h
}

func vote(bits *[64]int, h uint64) {
	for i := range bits {
		bits[i] += int(h>>i&1)*2 - 1
	}
}

// isIdeograph reports whether a character is of a script that is written without
// blanks between words.
func isIdeograph(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// languageText is how much text is looked at for its language, and least how much of
// it there must be: of less, the answer is too often wrong.
const (
	languageText = 4096
	leastText    = 200
)

// Language returns the language of a text as a tag of BCP 47; empty where it cannot
// be told.
func Language(text string) string {
	if len(text) < leastText {
		return ""
	}
	info := whatlanggo.Detect(cutAt(text, languageText))
	if info.Script == nil || info.Lang < 0 || info.Confidence < 0.5 {
		return ""
	}
	if tag := info.Lang.Iso6391(); tag != "" {
		return tag
	}
	return info.Lang.Iso6393()
}

// cutAt cuts a text between characters.
func cutAt(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
