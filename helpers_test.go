package session_test

import (
	"io"
	"log"
	"time"
)

var (
	quiet    = log.New(io.Discard, "", 0)
	zeroTime time.Time
)
