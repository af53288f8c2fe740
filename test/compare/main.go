// Command compare measures this library beside v1.6.6, scs and gorilla/sessions; see
// README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// limits bound a run, so that it ends whatever is slow.
var limits = map[string]time.Duration{
	"compare": 30 * time.Minute, // The first time, with servers to install and all to compile.
	"curves":  25 * time.Minute,
	"count":   15 * time.Minute,
	"profile": 15 * time.Minute,
}

type settings struct {
	quick bool
	out   string   // the folder of measured.txt; "" to print only
	only  []string // backends; all when empty
	root  string   // of the repository
}

// wants tells whether a backend was asked for.
func (s settings) wants(backend string) bool {
	for _, name := range s.only {
		if name == backend {
			return true
		}
	}
	return len(s.only) == 0
}

func main() {
	var s settings
	flag.BoolVar(&s.quick, "quick", false, "few and short slices: three minutes instead of fifteen, and rougher figures")
	flag.StringVar(&s.out, "out", "", "the folder of measured.txt and the pages that show it; without it the figures are only printed")
	only := flag.String("only", "", "backends, separated by commas; all by default")
	flag.StringVar(&s.root, "root", "../..", "the root of the repository")
	flag.Usage = func() {
		_, _ = fmt.Fprintln(flag.CommandLine.Output(), "usage: compare [flags] [compare|count|curves|profile]")
		flag.PrintDefaults()
	}
	flag.Parse()
	s.only = strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	mode := "compare"
	if flag.NArg() > 0 {
		mode = flag.Arg(0)
	}
	run := map[string]func(context.Context, *bench) error{
		"compare": compare, "count": count, "curves": curves, "profile": profile,
	}[mode]
	if run == nil || flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limits[mode])
	err := with(ctx, s, run)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// bench is what every mode works with: programs, servers, a folder of its own.
type bench struct {
	settings
	dir      string // temporary
	programs map[string]program
	stores   []*store
	leftOut  []string // what could not be measured, and why
}

func with(ctx context.Context, s settings, run func(context.Context, *bench) error) (err error) {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{settings: s, dir: dir}
	say("building the programs")
	if b.programs, err = build(ctx, s.root, dir); err != nil {
		return err
	}
	stop, err := b.findStores(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return run(ctx, b)
}

// say tells what goes on, apart from the results on standard output.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
