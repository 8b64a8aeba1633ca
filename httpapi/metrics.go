package httpapi

import (
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"

	"dalel/internal/fault"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what a node does, for Prometheus. No label holds anything
// that a client has chosen, nor the id of a person or a thing: routes are named
// by their pattern.
type Metrics struct {
	registry    *prometheus.Registry
	handler     http.Handler
	requests    *prometheus.CounterVec
	refused     *prometheus.CounterVec
	security    *prometheus.CounterVec
	connections prometheus.Gauge
}

// NewMetrics makes the metrics of one node. Errors of collectors go to log.
func NewMetrics(log *slog.Logger) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalel_http_requests_total", Help: "Requests answered, by method, route and status; 499 where the client went away.",
		}, []string{"method", "route", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalel_http_refused_total", Help: "Requests that were answered with a problem, by its code.",
		}, []string{"code"}),
		security: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalel_security_events_total", Help: "Entries of the security log, by event type.",
		}, []string{"event"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dalel_http_connections", Help: "Connections of clients that are open.",
		}),
	}
	m.Register(m.requests, m.refused, m.security, m.connections,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeErrors{log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4,
	})
	return m
}

// Register adds collectors. It panics when two have a metric of one name, which
// is a mistake in the program.
func (m *Metrics) Register(all ...prometheus.Collector) { m.registry.MustRegister(all...) }

// ServeHTTP implements http.Handler: the metrics in Prometheus's text form.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// answered counts a request.
func (m *Metrics) answered(method, pattern string, status int) {
	if pattern == "" {
		pattern = "none"
	}
	m.requests.WithLabelValues(methodName(method), pattern, strconv.Itoa(status)).Inc()
}

func (m *Metrics) problem(code fault.Code) { m.refused.WithLabelValues(string(code)).Inc() }

// slots adds how many requests and packets are under way, and how many may be.
func (m *Metrics) slots(s *Server) {
	gauge := func(name, help, of string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"of": of},
		}, func() float64 { return float64(value()) })
	}
	const used, limit = "dalel_http_slots_used", "dalel_http_slots"
	const usedHelp, limitHelp = "Slots in use.", "Slots that there are."
	m.Register(
		gauge(used, usedHelp, "requests", s.places.requests.Open),
		gauge(limit, limitHelp, "requests", func() int { return s.Limits.Requests }),
		gauge(used, usedHelp, "packets", s.places.builds.Open),
		gauge(limit, limitHelp, "packets", func() int { return s.Limits.Builds }),
		gauge(used, usedHelp, "streams", s.places.streams.Open),
		gauge(limit, limitHelp, "streams", func() int { return s.Limits.Streams }),
	)
}

// Listener counts the connections that a listener has accepted.
func (m *Metrics) Listener(inner net.Listener) net.Listener {
	return &countingListener{inner, m.connections}
}

type countingListener struct {
	net.Listener
	open prometheus.Gauge
}

// Accept implements net.Listener.
func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Inc()
	return &countedConnection{Conn: conn, open: l.open}, nil
}

type countedConnection struct {
	net.Conn
	open prometheus.Gauge
	once sync.Once
}

// Close implements net.Conn.
func (c *countedConnection) Close() error {
	c.once.Do(c.open.Dec)
	return c.Conn.Close()
}

// scrapeErrors tells the log that some metric could not be gathered.
type scrapeErrors struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (e scrapeErrors) Println(...any) { e.log.Warn("some metrics could not be gathered") }

func writeJSON(w io.Writer, body any) { _ = json.NewEncoder(w).Encode(body) }
