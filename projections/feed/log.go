package feed

import (
	"context"
	"log/slog"

	"dalel/internal/fault"

	"github.com/ThreeDotsLabs/watermill"
)

// Logger lets a Watermill router write to a slog.Logger. An error is written
// as its code alone: its text may quote what could not be read, and that may
// be somebody's name. What the router says of its own comings and goings is
// of interest to nobody but its developer and becomes debug.
func Logger(log *slog.Logger) watermill.LoggerAdapter {
	if log == nil {
		log = slog.Default()
	}
	return logger{log}
}

type logger struct{ log *slog.Logger }

func (l logger) Error(msg string, err error, fields watermill.LogFields) {
	l.write(slog.LevelError, msg, fields, slog.String("code", string(fault.CodeOf(err))))
}

func (l logger) Info(msg string, fields watermill.LogFields) { l.write(slog.LevelDebug, msg, fields) }

func (l logger) Debug(msg string, fields watermill.LogFields) { l.write(slog.LevelDebug, msg, fields) }

// Trace writes nothing: it would be several lines for each event.
func (l logger) Trace(string, watermill.LogFields) {}

func (l logger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	args := make([]any, 0, 2*len(fields))
	for key, value := range fields {
		args = append(args, key, value)
	}
	return logger{l.log.With(args...)}
}

func (l logger) write(level slog.Level, msg string, fields watermill.LogFields, more ...slog.Attr) {
	for key, value := range fields {
		more = append(more, slog.Any(key, value))
	}
	l.log.LogAttrs(context.Background(), level, msg, more...)
}
