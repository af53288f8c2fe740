// Command up starts the servers that tests of backends use, prints the environment
// variables that make tests use them, and stops them on Ctrl-C:
//
//	go run ./internal/testserver/up             # those that start within seconds
//	go run ./internal/testserver/up -all        # MySQL and MongoDB's protocol, too
//	go run ./internal/testserver/up redis mysql
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/flamego/session/internal/testserver"
)

func main() {
	all := flag.Bool("all", false, "also the servers that take minutes the first time")
	flag.Usage = func() {
		_, _ = fmt.Fprintf(flag.CommandLine.Output(), "usage: up [-all] [%s]\n", strings.Join(testserver.Kinds(true), "|"))
	}
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = testserver.Kinds(*all)
	}
	for _, name := range names {
		if !slices.Contains(testserver.Kinds(true), name) {
			flag.Usage()
			os.Exit(2)
		}
	}
	os.Exit(run(names))
}

func run(names []string) int {
	// Before the first server: they end with this process in any case, but properly
	// only if it ends properly.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	status := 0
	for _, name := range names {
		s, env, err := testserver.Launch(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
			continue
		}
		defer s.Close()
		variable, value, _ := strings.Cut(env, "=")
		fmt.Printf("export %s='%s'  # %s\n", variable, value, s.Name)
		select {
		case <-stop:
			return 1
		default:
		}
	}
	fmt.Fprintln(os.Stderr, "Ctrl-C stops them.")
	<-stop
	return status
}
