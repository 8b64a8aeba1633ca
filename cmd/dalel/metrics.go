package main

import (
	"context"
	"time"

	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/health"
	"dalel/projections/transparency"

	"github.com/prometheus/client_golang/prometheus"
)

// appendMetrics count appends as they happen.
type appendMetrics struct {
	took    prometheus.Histogram
	outcome *prometheus.CounterVec
}

func newAppendMetrics() appendMetrics {
	return appendMetrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dalel_append_seconds", Help: "How long the event store took to record the events of a command.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		outcome: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dalel_appends_total", Help: "Appends by their outcome: ok, or the code of the error.",
		}, []string{"code"}),
	}
}

func (a appendMetrics) note(how ledger.Appended) {
	if how.Err != nil {
		a.outcome.WithLabelValues(string(fault.CodeOf(how.Err))).Inc()
		return
	}
	a.outcome.WithLabelValues("ok").Inc()
	a.took.Observe(how.Took.Seconds())
}

// What is looked up when the metrics are asked for.
var (
	describeReady     = describe("dalel_ready", "1 if the node may be sent requests.")
	describeCheck     = describe("dalel_check_ok", "1 if a check of /readyz has found nothing wrong.", "check")
	describeBuild     = describe("dalel_build_info", "Always 1; which build runs.", "version", "commit", "go")
	describeQueue     = describe("dalel_append_queue", "Appends that wait for the event store.")
	describeLag       = describe("dalel_follower_lag_seconds", "For how long the oldest event that a follower has not taken has been there.", "follower")
	describeLagEvents = describe("dalel_follower_lag_events", "How many events a follower has not taken; they are counted up to 10000.", "follower")
	describeRefused   = describe("dalel_process_refused_total", "Commands of a process manager that were refused for good.", "process")
	describePassed    = describe("dalel_process_passed_over_total", "Documents that a process manager has given up.", "process")
	describeLogSize   = describe("dalel_log_events", "Events in the transparency log: integrated, and under the newest checkpoint.", "state")
	describeLogStop   = describe("dalel_log_stopped", "1 if the transparency log has stopped for good: nothing is written on this node, or, after somebody else wrote into the log's own stream, no checkpoints are signed.")
	describeAsked     = describe("dalel_log_answer_age_seconds", "Since the last answer of a witness or a time-stamping authority; since the node's start where there is none.", "kind", "name")
	describeUnheard   = describe("dalel_log_answer_failures", "How often in a row a witness or an authority has not answered.", "kind", "name")
	describeRenewal   = describe("dalel_log_renewal_days", "Days until the newest time stamps must be renewed at the latest.")
	describeDisk      = describe("dalel_disk_free_bytes", "What is free where the node writes.", "place")
	describeBackup    = describe("dalel_backup_age_seconds", "Since a backup was last made from this node's folder; absent where none was.")
	describeFrozen    = describe("dalel_streams_frozen", "Streams that are frozen by events which the ledger did not write.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m *monitor) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		describeReady, describeCheck, describeBuild, describeQueue, describeLag, describeLagEvents, describeRefused, describePassed,
		describeLogSize, describeLogStop, describeAsked, describeUnheard, describeRenewal, describeDisk, describeBackup, describeFrozen,
	} {
		to <- d
	}
}

// scrapePatience bounds what is looked up for one reading of the metrics.
const scrapePatience = 5 * time.Second

// metricsTo gives out metrics.
type metricsTo chan<- prometheus.Metric

func (to metricsTo) gauge(d *prometheus.Desc, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (to metricsTo) counter(d *prometheus.Desc, value int, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func (to metricsTo) flag(d *prometheus.Desc, value bool, labels ...string) {
	number := 0.0
	if value {
		number = 1
	}
	to.gauge(d, number, labels...)
}

// Collect implements prometheus.Collector.
func (m *monitor) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
	defer cancel()
	to := metricsTo(out)
	report := m.board.Report(ctx)
	to.flag(describeReady, report.Ready)
	for _, found := range report.Checks {
		to.flag(describeCheck, found.OK, found.Name)
	}
	info := thisBuild()
	to.gauge(describeBuild, 1, info.Version, info.Commit, info.Go)
	if store, ok := m.node.store.(queue); ok {
		to.gauge(describeQueue, float64(store.Waiting()))
	}
	for _, place := range m.node.disks {
		if free, err := health.Free(place.Path); err == nil {
			to.gauge(describeDisk, float64(free), place.Name)
		}
	}
	if mark, ok := readBackupMark(m.node.dir); ok {
		to.gauge(describeBackup, max(0, time.Since(mark.When).Seconds()))
	}
	for _, status := range m.processes.Status() {
		to.counter(describeRefused, status.Refused, status.Name)
		to.counter(describePassed, status.PassedOver, status.Name)
	}
	if count, err := m.models.FrozenStreams(ctx); err == nil {
		to.gauge(describeFrozen, float64(count))
	}
	m.collectLag(ctx, to)
	collectLog(to, m.log.Status(), m.began)
}

// maxCounted is up to how many events a follower's lag is counted.
const maxCounted = 10_000

// collectLag tells how far behind each follower is. Events are counted by
// reading them, and only where some are known to wait.
func (m *monitor) collectLag(ctx context.Context, to metricsTo) {
	lags := make([]time.Duration, len(m.followers.All))
	lowest := eventstore.Position(0)
	behind := false
	for i, follower := range m.followers.All {
		if lags[i] = m.followers.Lag(follower); lags[i] > 0 {
			if _, reached := follower.At(); !behind || reached < lowest {
				lowest, behind = reached, true
			}
		}
		to.gauge(describeLag, lags[i].Seconds(), follower.Name)
	}
	counts := make([]int, len(m.followers.All))
	if behind {
		for recorded, err := range m.node.store.ReadAll(ctx, lowest, maxCounted) {
			if err != nil {
				return
			}
			for i, follower := range m.followers.All {
				if _, reached := follower.At(); recorded.Position > reached {
					counts[i]++
				}
			}
		}
	}
	for i, follower := range m.followers.All {
		to.gauge(describeLagEvents, float64(counts[i]), follower.Name)
	}
}

// collectLog tells how the transparency log is on a node that has begun to
// serve at a moment.
func collectLog(to metricsTo, status transparency.Status, began time.Time) {
	to.gauge(describeLogSize, float64(status.Integrated), "integrated")
	to.gauge(describeLogSize, float64(status.Published), "published")
	to.flag(describeLogStop, status.Phase == transparency.PhaseStopped)
	for kind, all := range map[string][]transparency.Asked{"witness": status.Witnesses, "authority": status.Authorities} {
		for _, asked := range all {
			answered := began
			if asked.At != nil {
				answered = *asked.At
			}
			to.gauge(describeAsked, max(0, time.Since(answered).Seconds()), kind, asked.Name)
			to.gauge(describeUnheard, float64(asked.Failures), kind, asked.Name)
		}
	}
	if status.Renewal != nil {
		to.gauge(describeRenewal, time.Until(status.Renewal.At).Hours()/24)
	}
}
