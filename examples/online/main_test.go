package main

import (
	"io/fs"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

// site is the running program.
type site struct {
	*sessiontest.Clock
	t   *testing.T
	url string
	dir string
	m   *session.Manager
}

func start(t *testing.T, change func(*session.Options)) *site {
	s := &site{Clock: sessiontest.NewClock(), t: t, dir: t.TempDir()}
	opt := options(s.dir)
	if change != nil {
		change(&opt)
	}
	s.m = exampletest.Open(t, opt, s.Clock)
	s.url = exampletest.Serve(t, newApp(s.m))
	return s
}

func (s *site) visitor() *exampletest.Browser { return exampletest.NewBrowser(s.t, s.url) }

var id = regexp.MustCompile(`^[0-9a-z]{32}$`)

// files counts the session files.
func (s *site) files() (n int) {
	err := fs.WalkDir(os.DirFS(s.dir), ".", func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && id.MatchString(e.Name()) {
			n++
		}
		return nil // A file may be deleted meanwhile.
	})
	require.NoError(s.t, err)
	return n
}

func TestPeopleOnline(t *testing.T) {
	s := start(t, nil)
	ann, bob, robot := s.visitor(), s.visitor(), s.visitor()
	sees := func(b *exampletest.Browser, want string) {
		t.Helper()
		assert.Contains(t, b.Get("/").Body, want)
	}
	sees(robot, "People online: 0")
	assert.Contains(t, ann.Post("/join", nil).Body, "People online: 1")
	assert.Contains(t, bob.Post("/join", nil).Body, "People online: 2")
	sees(robot, "People online: 2")
	assert.Empty(t, robot.Cookies(), "who only looks is nobody")

	s.Advance(4 * time.Minute)
	sees(ann, "People online: 2")
	s.Advance(4 * time.Minute) // Bob has not been seen for eight.
	sees(ann, "People online: 1")
	sees(bob, "Join")
	assert.Contains(t, ann.Post("/leave", nil).Body, "People online: 0")
}

// Expired sessions cannot be used at once; their files go with the next sweep.
func TestExpiredAreDeleted(t *testing.T) {
	s := start(t, nil)
	for range 3 {
		s.visitor().Post("/join", nil)
	}
	s.Advance(6 * time.Minute)
	assert.Contains(t, s.visitor().Post("/join", nil).Body, "People online: 1")
	assert.Equal(t, 4, s.files())
	require.NoError(t, s.m.Store().GC(t.Context()))
	assert.Equal(t, 1, s.files(), "that of the one who is online")
	n, err := s.m.Count(t.Context())
	assert.NoError(t, err)
	assert.Equal(t, 1, n)
}

// The sweep runs by itself, every GCInterval.
func TestSweepInTheBackground(t *testing.T) {
	s := start(t, func(o *session.Options) { o.GCInterval = time.Second })
	s.visitor().Post("/join", nil)
	require.Equal(t, 1, s.files())
	s.Advance(6 * time.Minute)
	assert.Eventually(t, func() bool { return s.files() == 0 }, 20*time.Second, 20*time.Millisecond)
}
