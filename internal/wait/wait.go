// Package wait waits for what a test cannot be told of.
package wait

import (
	"fmt"
	"time"
)

// Until calls f until it returns nil, or for so long.
func Until(limit time.Duration, f func() error) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
	}
}
