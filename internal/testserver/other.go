//go:build !linux

package testserver

import "errors"

func install(string) error { return errors.New("servers are started on linux only") }

func launch(*Kind) (*Server, error) { panic("testserver: not reached") }
