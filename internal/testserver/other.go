//go:build !linux

package testserver

import "errors"

type instance struct{}

func (*instance) pause() error  { return nil }
func (*instance) resume() error { return nil }
func (*instance) kill() error   { return nil }
func (*instance) start() error  { return nil }
func (*instance) close() error  { return nil }

func (*Server) launch(*Kind) error { return errors.New("servers are started on linux only") }

func install(string) error { return errors.New("programs are installed on linux only") }
