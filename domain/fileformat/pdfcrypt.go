package fileformat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"io"
)

// pdfCrypt opens the streams of a PDF that is encrypted, yet opens without a
// password (ISO 32000-2, 7.6; ISO 32000-1 for the older ciphers). Banks and
// accounting programs lock printing or changing that way. The ciphers protect
// nothing here; they are what such files are written with.
type pdfCrypt struct {
	key    []byte
	method string // "V2" (RC4), "AESV2", "AESV3", "" for none
}

// pdfPad stands for an empty password (7.6.4.3.2).
const pdfPad = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

// openEncryption finds the key of an encrypted file, or refuses it.
func (f *pdfFile) openEncryption() error {
	if f.encrypt == nil {
		return nil
	}
	object, err := f.resolve(f.encrypt)
	if err != nil {
		return err
	}
	dict, ok := object.(pdfDict)
	if !ok {
		return errPDFEncrypted
	}
	if dict["Filter"] != pdfName("Standard") {
		return errPDFEncrypted
	}
	number := func(name string, or int64) int64 {
		if n, ok := dict[name].(int64); ok {
			return n
		}
		return or
	}
	version, revision := number("V", 0), number("R", 0)
	owner, _ := dict["O"].(pdfString)
	user, _ := dict["U"].(pdfString)
	crypt := &pdfCrypt{method: "V2"}
	size := number("Length", 40) / 8
	switch version {
	case 1:
		size = 5
	case 2:
	case 4, 5:
		filters, err := f.resolve(dict["CF"])
		if err != nil {
			return err
		}
		crypt.method, size = streamMethod(dict["StmF"], filters, version, size)
	default:
		return errPDFEncrypted
	}
	metadata, ok := dict["EncryptMetadata"].(bool)
	plain := ok && !metadata
	switch {
	case version == 5 && (revision == 5 || revision == 6):
		packed, _ := dict["UE"].(pdfString)
		if len(user) < 48 || len(packed) < 32 {
			return errPDFEncrypted
		}
		hash := func(salt []byte) []byte {
			if revision == 5 {
				sum := sha256.Sum256(salt)
				return sum[:]
			}
			return hardenedHash(salt)
		}
		if !bytes.Equal(hash(user[32:40]), user[:32]) {
			return errPDFPassword
		}
		block, err := aes.NewCipher(hash(user[40:48]))
		if err != nil {
			return errPDFEncrypted
		}
		crypt.key = make([]byte, 32)
		cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(crypt.key, packed[:32])
	case version != 5 && revision >= 2 && revision <= 4:
		if revision == 2 {
			size = 5
		}
		if size < 5 || size > 16 || len(owner) < 32 || len(user) < 32 {
			return errPDFEncrypted
		}
		crypt.key = emptyPasswordKey(owner[:32], f.id, uint32(number("P", 0)), revision, int(size), plain)
		if !emptyPasswordOpens(crypt.key, user, f.id, revision) {
			return errPDFPassword
		}
	default:
		return errPDFEncrypted
	}
	f.crypt = crypt
	return nil
}

// streamMethod returns the cipher of streams and the bytes of its key
// (7.6.6).
func streamMethod(streams, named any, version, size int64) (string, int64) {
	name, _ := streams.(pdfName)
	filters, _ := named.(pdfDict)
	filter, ok := filters[string(name)].(pdfDict)
	if version == 4 {
		// Only this length is in use; writers disagree over what Length means.
		size = 16
	}
	if !ok || name == "Identity" {
		return "", size
	}
	method, _ := filter["CFM"].(pdfName)
	if method == "None" {
		return "", size
	}
	return string(method), size
}

// emptyPasswordKey is algorithm 2 (7.6.4.3.2) for the empty password.
func emptyPasswordKey(owner, id []byte, permissions uint32, revision int64, size int, plainMetadata bool) []byte {
	h := md5.New()
	h.Write([]byte(pdfPad))
	h.Write(owner)
	h.Write(binary.LittleEndian.AppendUint32(nil, permissions))
	h.Write(id)
	if revision >= 4 && plainMetadata {
		h.Write([]byte{0xff, 0xff, 0xff, 0xff})
	}
	key := h.Sum(nil)
	if revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:size])
			copy(key, sum[:])
		}
	}
	return key[:size]
}

// emptyPasswordOpens is algorithm 6 (7.6.4.4.5).
func emptyPasswordOpens(key, user, id []byte, revision int64) bool {
	if revision == 2 {
		return bytes.Equal(rc4Once(key, []byte(pdfPad)), user[:32])
	}
	sum := md5.Sum(append([]byte(pdfPad), id...))
	text := sum[:]
	for i := range 20 {
		turned := make([]byte, len(key))
		for j := range key {
			turned[j] = key[j] ^ byte(i)
		}
		text = rc4Once(turned, text)
	}
	return bytes.Equal(text, user[:16])
}

func rc4Once(key, text []byte) []byte {
	stream, err := rc4.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, len(text))
	stream.XORKeyStream(out, text)
	return out
}

// hardenedHash is algorithm 2.B (7.6.4.3.4) for the empty password.
func hardenedHash(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	key := sum[:]
	for round := 0; ; round++ {
		text := bytes.Repeat(key, 64)
		block, err := aes.NewCipher(key[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, key[16:32]).CryptBlocks(text, text)
		remainder := 0
		for _, c := range text[:16] {
			remainder += int(c)
		}
		switch remainder % 3 {
		case 0:
			sum := sha256.Sum256(text)
			key = sum[:]
		case 1:
			sum := sha512.Sum384(text)
			key = sum[:]
		default:
			sum := sha512.Sum512(text)
			key = sum[:]
		}
		if round >= 63 && int(text[len(text)-1]) <= round-31 {
			return key[:32]
		}
	}
}

// open decrypts a stream (algorithms 1 and 1.A, 7.6.3).
func (c *pdfCrypt) open(number int64, in io.Reader) (io.Reader, error) {
	key := c.key
	if c.method == "V2" || c.method == "AESV2" {
		// Object streams are of generation 0.
		text := append(bytes.Clone(key), byte(number), byte(number>>8), byte(number>>16), 0, 0)
		if c.method == "AESV2" {
			text = append(text, "sAlT"...)
		}
		sum := md5.Sum(text)
		key = sum[:min(len(c.key)+5, 16)]
	}
	switch c.method {
	case "":
		return in, nil
	case "V2":
		stream, err := rc4.NewCipher(key)
		if err != nil {
			return nil, errPDFObject
		}
		return cipher.StreamReader{S: stream, R: in}, nil
	case "AESV2", "AESV3":
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, errPDFObject
		}
		first := make([]byte, aes.BlockSize)
		if _, err := io.ReadFull(in, first); err != nil {
			return nil, err
		}
		return &cbcReader{in: in, mode: cipher.NewCBCDecrypter(block, first)}, nil
	}
	return nil, errPDFEncrypted
}

// cbcReader decrypts block after block. The padding at the end stays: what is
// packed in it ends by itself.
type cbcReader struct {
	in   io.Reader
	mode cipher.BlockMode
	held [4 << 10]byte
	left []byte
}

// Read implements io.Reader.
func (r *cbcReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		n, err := io.ReadFull(r.in, r.held[:])
		if n -= n % aes.BlockSize; n == 0 {
			if err == io.ErrUnexpectedEOF || err == nil {
				err = io.EOF
			}
			return 0, err
		}
		r.mode.CryptBlocks(r.held[:n], r.held[:n])
		r.left = r.held[:n]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}
