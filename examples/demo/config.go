package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// config holds the flags, with the defaults filled in by parseFlags.
type config struct {
	addr     string
	backend  backend
	dsn      string
	lifetime time.Duration
	place    string // where the sessions are, in words

	name    string  // of the server; empty for the page that shows two
	release release // of the server
	stage   string  // the port of that page, which has started the server; empty if none has
}

// parseFlags reads the flags, and for -help prints their list to out. An error says what to
// type instead.
func parseFlags(args []string, out io.Writer) (config, error) {
	var cfg config
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // The error is printed once, by main.
	flags.StringVar(&cfg.addr, "addr", "localhost:2830", "`host:port` to listen on, and for the two servers the ports after it; port 0 takes free ones")
	name := flags.String("backend", "sqlite", "where sessions are kept: "+backendNames())
	flags.StringVar(&cfg.dsn, "dsn", "", "`path` of the file or folder, or where the server is (default "+backendDefaults()+")")
	flags.DurationVar(&cfg.lifetime, "lifetime", time.Hour, "how long a session lives without being used")
	flags.StringVar(&cfg.name, "name", "", "be one server alone, of this `name`, instead of two side by side")
	number := flags.Int("release", 1, "with -name, the version of the program that the server is: 1 or 2")
	flags.StringVar(&cfg.stage, "stage", "", "with -name, the `port` of the page that shows the server; it ends with its standard input")

	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(out, "Usage: demo [flags]")
		flags.SetOutput(out)
		flags.PrintDefaults()
		return cfg, err
	}
	if err != nil {
		return cfg, fmt.Errorf("%w: -help lists the flags", err)
	}
	if flags.NArg() > 0 {
		return cfg, fmt.Errorf("%q is no flag: -help lists the flags", flags.Arg(0))
	}
	// To the library, anything shorter means the default of an hour.
	if cfg.lifetime < time.Second {
		return cfg, fmt.Errorf("-lifetime is %v: give it one second at least, such as -lifetime 30m", cfg.lifetime)
	}
	if cfg.release = release(*number); cfg.release != 1 && cfg.release != 2 {
		return cfg, fmt.Errorf("-release %d is unknown: take 1 or 2", *number)
	}
	var ok bool
	if cfg.backend, ok = findBackend(*name); !ok {
		return cfg, fmt.Errorf("-backend %q is unknown: take one of %s", *name, backendNames())
	}
	return cfg, cfg.locate()
}

// locate says where the sessions are. Without -dsn it is an absolute path, so that the
// reader knows what to look at, back up or delete. A given -dsn is not repeated: those of
// database servers contain passwords.
func (c *config) locate() (err error) {
	c.place = c.backend.title
	switch {
	case c.dsn != "":
	case c.backend.remote:
		c.dsn = c.backend.dsn
	default:
		c.dsn, err = filepath.Abs(c.backend.dsn)
		c.place += ", " + c.dsn
	}
	return err
}
