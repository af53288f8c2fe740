// Command prometheus shows what sessions do on a Grafana dashboard, dashboard.json: who comes
// and goes, who tries IDs that nobody has, and how long the store takes. It is a separate
// module, since the library does not need Prometheus.
package main

import (
	"context"
	"net/http"

	"github.com/flamego/flamego"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flamego/session"
)

func main() {
	reg := prometheus.NewRegistry()
	m, err := session.NewManager(options(reg, "prometheus-sessions"))
	if err != nil {
		panic(err)
	}
	newApp(m, reg).Run()
}

// options has the store's calls timed. The histogram counts them as well, those that failed
// or met another request apart.
func options(reg prometheus.Registerer, dir string) session.Options {
	calls := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "session_store_call_duration_seconds",
		Help:    "How long calls of the session store took.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9), // From 0.1 ms to 6.5 s: a call may wait for StoreTimeout.
	}, []string{"op", "outcome"})
	reg.MustRegister(calls)
	return session.Options{
		Initer: session.FileIniter(),
		Config: session.FileConfig{RootDir: dir},
		Observe: func(_ context.Context, e session.Event) {
			if e.Op != "" {
				calls.WithLabelValues(e.Op, e.Kind.String()).Observe(e.Duration.Seconds())
			}
		},
	}
}

// stats exports what the Manager counts anyway.
type stats struct{ *session.Manager }

var (
	events = prometheus.NewDesc("session_events_total", "What has happened to sessions on this server.", []string{"kind"}, nil)
	live   = prometheus.NewDesc("session_live", "Live sessions in the store, those of other servers too.", nil, nil)
)

func (stats) Describe(descs chan<- *prometheus.Desc) { descs <- events; descs <- live }

func (m stats) Collect(metrics chan<- prometheus.Metric) {
	s := m.Stats()
	for kind, n := range map[session.EventKind]int64{
		session.Began: s.Began, session.Loaded: s.Loaded, session.Rotated: s.Rotated, session.Renewed: s.Renewed,
		session.Ended: s.Ended, session.Evicted: s.Evicted, session.Expired: s.Expired, session.UnknownID: s.UnknownIDs,
		session.MalformedID: s.MalformedIDs, session.Undecodable: s.Undecodable,
	} {
		metrics <- prometheus.MustNewConstMetric(events, prometheus.CounterValue, float64(n), kind.String())
	}
	// It reads an index: fine for a scrape every 15 seconds.
	n, err := m.Count(context.Background())
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(live, err)
		return
	}
	metrics <- prometheus.MustNewConstMetric(live, prometheus.GaugeValue, float64(n))
}

func newApp(m *session.Manager, reg *prometheus.Registry) *flamego.Flame {
	reg.MustRegister(stats{m})
	f := flamego.Classic()
	// For Prometheus alone, on a real site. It has no session, so it is in front of them. If
	// the store is down, all the rest is still there.
	f.Get("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP)
	f.Group("", func() {
		f.Get("/", func(s session.Session) string { return "Hello " + session.Owner(s) })
		f.Post("/signin", func(r *http.Request, s session.Session) error {
			return session.SetOwner(s, r.PostFormValue("name")) // Once the password is right.
		})
		f.Post("/signout", session.Destroy)
	}, m.Sessioner())
	return f
}
