package s3

import (
	"encoding/hex"
	"errors"
	"strings"
)

// Objects are named by their subjects so that the names sort as the subjects
// do, and hold nothing that some S3 store reads as a path. Letters, digits and
// hyphens stand for themselves. Any other character is a mark and its two
// hexadecimal digits; of the five marks each sorts where its characters do.
// After every 200 characters of a long name stands "+/", since some stores are
// file systems with a limit for each part of a path.

const partSize = 200

// markOf returns the mark of a printable character, 0 if it stands for itself.
func markOf(c byte) byte {
	switch {
	case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-':
		return 0
	case c < '-':
		return '!'
	case c < '0':
		return '.'
	case c < 'A':
		return '='
	case c < 'a':
		return '_'
	}
	return '~'
}

func nameOf(subject string) string {
	name := make([]byte, 0, len(subject)+8)
	for i := range len(subject) {
		c := subject[i]
		if mark := markOf(c); mark != 0 {
			name = hex.AppendEncode(append(name, mark), []byte{c})
		} else {
			name = append(name, c)
		}
	}
	var parted strings.Builder
	for len(name) > partSize {
		parted.Write(name[:partSize])
		parted.WriteString("+/")
		name = name[partSize:]
	}
	parted.Write(name)
	return parted.String()
}

func subjectOf(object string) (string, error) {
	name := strings.ReplaceAll(object, "+/", "")
	subject := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if markOf(c) != 0 {
			if i+2 >= len(name) {
				return "", errors.New("its name ends too soon")
			}
			var err error
			if subject, err = hex.AppendDecode(subject, []byte(name[i+1:i+3])); err != nil {
				return "", errors.New("its name cannot be read")
			}
			i += 2
			continue
		}
		subject = append(subject, c)
	}
	if nameOf(string(subject)) != object {
		return "", errors.New("its name is not as this program writes it")
	}
	return string(subject), nil
}
