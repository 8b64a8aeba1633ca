// Package clamav asks a clamd whether a file is malware (R-D2).
//
// A [Scanner] sends a file over clamd's INSTREAM command (clamd(8), COMMANDS)
// and returns a [Finding]: malware by the name of its signature, or none. When
// clamd is away, slow, answers with an error or with anything that it does not
// say in this protocol, or has not looked at all of the file, that is
// scan.unavailable and nothing else: a file of which nobody can tell is neither
// clean nor malware.
//
// Some settings of clamd matter, since by itself it calls clean what it has
// skipped for its size. In clamd.conf, AlertExceedsMax must be yes: clamd then
// says what it left out, and the Scanner takes that for scan.unavailable.
// MaxFileSize and MaxScanSize must be no less than [Options].MaxBytes, and
// StreamMaxLength should be the same, or larger files are not taken. clamd
// itself scans no file of more than 2 GB.
//
// What goes to clamd is not encrypted: over TCP, keep it on the same machine or
// in a closed network.
package clamav

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"dalel/internal/fault"
)

// Finding is what clamd found in a file. It means something only if no error
// came with it.
type Finding struct {
	// Malware says that a signature fits.
	Malware bool
	// Signature is its name, printable ASCII of at most 100 bytes; "" if there
	// is no malware.
	Signature string
}

// Options say where clamd is and how long to wait for it.
type Options struct {
	// Address is tcp://host:port or unix:///path.
	Address string
	// Timeout is how long connecting may take, and each single write; 10
	// seconds if zero.
	Timeout time.Duration
	// AnswerTimeout is how long the verdict may take once the file is sent;
	// 150 seconds if zero, which is more than clamd's own limit for a file
	// (MaxScanTime, 120 seconds).
	AnswerTimeout time.Duration
	// MaxBytes is the largest file that clamd is set up to scan, its
	// MaxFileSize; 100 MiB if zero, which is clamd's own default. A larger
	// file is scan.unavailable.
	MaxBytes int64
}

// Scanner asks one clamd. It makes a connection for each question, and may be
// used by many goroutines at once. The zero Scanner finds nobody to ask.
type Scanner struct {
	network, address string
	timeout, answer  time.Duration
	maxBytes         int64
}

const (
	chunkBytes     = 64 << 10
	answerBytes    = 4 << 10
	signatureBytes = 100
	versionBytes   = 200
)

// New makes a Scanner, and refuses an address or times that cannot be right.
// It does not connect: [Scanner.Ping] does.
func New(options Options) (*Scanner, error) {
	if options.Timeout < 0 || options.AnswerTimeout < 0 {
		return nil, errors.New("clamd's time-outs cannot be negative")
	}
	if options.MaxBytes < 0 {
		return nil, errors.New("the most bytes that clamd scans cannot be negative")
	}
	s := &Scanner{timeout: options.Timeout, answer: options.AnswerTimeout, maxBytes: options.MaxBytes}
	if s.maxBytes == 0 {
		s.maxBytes = 100 << 20
	}
	if s.timeout == 0 {
		s.timeout = 10 * time.Second
	}
	if s.answer == 0 {
		s.answer = 150 * time.Second
	}
	wrong := fmt.Errorf("clamd's address %q is neither tcp://host:port nor unix:///path", options.Address)
	if path, ok := strings.CutPrefix(options.Address, "unix://"); ok {
		if len(path) < 2 || path[0] != '/' || strings.ContainsRune(path, 0) {
			return nil, wrong
		}
		s.network, s.address = "unix", path
		return s, nil
	}
	address, ok := strings.CutPrefix(options.Address, "tcp://")
	host, port, err := net.SplitHostPort(address)
	if !ok || err != nil || host == "" || strings.ContainsAny(host, "@/?#") {
		return nil, wrong
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return nil, wrong
	}
	s.network, s.address = "tcp", address
	return s, nil
}

// Scan sends content to clamd and returns what it finds. Errors: content's own
// and ctx's, wrapped, and otherwise scan.unavailable.
func (s *Scanner) Scan(ctx context.Context, content io.Reader) (Finding, error) {
	text, err := s.ask(ctx, "INSTREAM", content)
	if err != nil {
		return Finding{}, err
	}
	return verdict(text)
}

// verdict reads an answer to INSTREAM.
func verdict(text string) (Finding, error) {
	result, ok := strings.CutPrefix(text, "stream: ")
	switch {
	case ok && result == "OK":
		return Finding{}, nil
	case strings.HasSuffix(text, "size limit exceeded. ERROR"):
		return Finding{}, fault.New(fault.ScanUnavailable, "the file is larger than the malware scanner takes, so it was not scanned; the operator may raise StreamMaxLength of clamd")
	case strings.HasSuffix(text, " ERROR"):
		return Finding{}, unavailable(fmt.Errorf("clamd says %q", printable(text, versionBytes)), "could not scan the file")
	}
	signature, found := strings.CutSuffix(result, " FOUND")
	if !ok || !found || strings.TrimSpace(signature) == "" {
		return Finding{}, unavailable(fmt.Errorf("clamd says %q", printable(text, versionBytes)), "gave an answer that makes no sense")
	}
	if strings.HasPrefix(signature, "Heuristics.Limits.Exceeded") {
		return Finding{}, fault.New(fault.ScanUnavailable, "the file passes a limit of the malware scanner, so not all of it was scanned; the operator may raise MaxScanSize, MaxFileSize and their like of clamd")
	}
	return Finding{Malware: true, Signature: printable(signature, signatureBytes)}, nil
}

// Ping asks whether clamd is there. The error is scan.unavailable or ctx's.
func (s *Scanner) Ping(ctx context.Context) error {
	text, err := s.ask(ctx, "PING", nil)
	if err != nil {
		return err
	}
	if text != "PONG" {
		return unavailable(nil, "gave an answer that makes no sense")
	}
	return nil
}

// Version returns what clamd says of itself and its signatures, such as
// "ClamAV 1.4.3/27500/Mon Jan  5 10:00:00 2026", as printable ASCII of at most
// 200 bytes. It belongs into the record of a scan.
func (s *Scanner) Version(ctx context.Context) (string, error) {
	text, err := s.ask(ctx, "VERSION", nil)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(text, "ClamAV ") {
		return "", unavailable(nil, "gave an answer that makes no sense")
	}
	return printable(text, versionBytes), nil
}

func unavailable(cause error, what string) error {
	return fault.Wrap(fault.ScanUnavailable, cause, "the malware scanner %s, so the file was not received", what)
}

// reply is an answer of clamd, or why there is none.
type reply struct {
	text string
	err  error
}

// ask gives one command, with content behind it if there is any, and returns
// the answer.
func (s *Scanner) ask(ctx context.Context, command string, content io.Reader) (string, error) {
	dialer := net.Dialer{Timeout: s.timeout}
	conn, err := dialer.DialContext(ctx, s.network, s.address)
	if err != nil {
		return "", ended(ctx, unavailable(err, "cannot be reached"))
	}
	replies := make(chan reply, 1)
	// The answer is waited for while the file is being sent: clamd may give
	// up early, and what it said then must not be lost.
	go func() {
		text, err := readAnswer(conn)
		replies <- reply{text, err}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		_ = conn.Close() // which ends the goroutine, too
	}()

	if err := s.write(ctx, conn, []byte("z"+command+"\x00")); err != nil {
		return s.afterFailedWrite(ctx, conn, replies, err)
	}
	if content != nil {
		chunk := make([]byte, 4+chunkBytes)
		for left := s.maxBytes; ; {
			n, readErr := fill(content, chunk[4:])
			if readErr != nil && readErr != io.EOF {
				// The zero chunk is never sent, so clamd gives no verdict.
				return "", fmt.Errorf("read the file to be scanned: %w", readErr)
			}
			if left -= int64(n); left < 0 {
				return "", fault.New(fault.ScanUnavailable, "the file is larger than the malware scanner is set up to scan (%d bytes), so it was not scanned", s.maxBytes)
			}
			select {
			case early := <-replies:
				return earlyAnswer(ctx, early)
			default:
			}
			if n > 0 {
				binary.BigEndian.PutUint32(chunk, uint32(n))
				if err := s.write(ctx, conn, chunk[:4+n]); err != nil {
					return s.afterFailedWrite(ctx, conn, replies, err)
				}
			}
			if readErr != nil {
				break
			}
		}
		if err := s.write(ctx, conn, []byte{0, 0, 0, 0}); err != nil {
			return s.afterFailedWrite(ctx, conn, replies, err)
		}
	}
	wait := s.answer
	if content == nil {
		wait = s.timeout
	}
	last := s.await(ctx, conn, replies, wait)
	if last.err != nil {
		return "", ended(ctx, unavailable(last.err, "gave no whole answer"))
	}
	return last.text, nil
}

// fill reads until p is full or content ends. Unlike io.ReadFull it leaves
// content's error as it is: io.ErrUnexpectedEOF is how a file cut off on its
// way says so.
func fill(content io.Reader, p []byte) (int, error) {
	n := 0
	for empty := 0; n < len(p); {
		got, err := content.Read(p[n:])
		n += got
		if err != nil {
			return n, err
		}
		if empty++; got > 0 {
			empty = 0
		}
		if empty == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// write sends p; the whole of it must be taken within the time-out.
func (s *Scanner) write(ctx context.Context, conn net.Conn, p []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	// The deadline just set may have undone the one that ctx's end set.
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := conn.Write(p)
	return err
}

// await waits for the answer.
func (s *Scanner) await(ctx context.Context, conn net.Conn, replies <-chan reply, wait time.Duration) reply {
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return reply{err: err}
	}
	if err := ctx.Err(); err != nil {
		return reply{err: err}
	}
	return <-replies
}

// afterFailedWrite asks whether clamd said why it takes no more.
func (s *Scanner) afterFailedWrite(ctx context.Context, conn net.Conn, replies <-chan reply, failed error) (string, error) {
	if ctx.Err() == nil && !errors.Is(failed, context.DeadlineExceeded) && !isTimeout(failed) {
		if early := s.await(ctx, conn, replies, s.timeout); early.err == nil {
			return earlyAnswer(ctx, early)
		}
	}
	return "", ended(ctx, unavailable(failed, "stopped taking the file (it may be larger than StreamMaxLength of clamd)"))
}

func isTimeout(err error) bool {
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout()
}

// earlyAnswer takes an answer that came before the file had been sent: clamd
// can give up on a file, but it cannot have a verdict.
func earlyAnswer(ctx context.Context, early reply) (string, error) {
	if early.err != nil {
		return "", ended(ctx, unavailable(early.err, "closed the connection before the file was sent"))
	}
	if !strings.HasSuffix(early.text, " ERROR") {
		return "", unavailable(nil, "gave an answer before the file was sent")
	}
	return early.text, nil
}

// ended puts ctx's end in the place of what it caused.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("ask the malware scanner: %w", cause)
	}
	return err
}

// readAnswer reads up to the zero byte that ends an answer.
func readAnswer(conn io.Reader) (string, error) {
	text, err := bufio.NewReaderSize(io.LimitReader(conn, answerBytes), answerBytes).ReadBytes(0)
	if err == io.EOF && len(text) == answerBytes {
		return "", errors.New("the answer is longer than any that there is")
	}
	if err == io.EOF {
		return "", io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	return string(text[:len(text)-1]), nil
}

// printable keeps at most n bytes of printable ASCII; all else becomes "?".
func printable(text string, n int) string {
	clean := []byte(text[:min(n, len(text))])
	for i, c := range clean {
		if c < ' ' || c > '~' {
			clean[i] = '?'
		}
	}
	return string(clean)
}
