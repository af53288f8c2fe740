package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// profile writes CPU profiles of ours, for who wants to make it faster: one for each
// backend and route, in files that go tool pprof reads.
func profile(ctx context.Context, b *bench) error {
	dir := b.out
	if dir == "" {
		return errors.New("name the folder for the profiles with -out")
	}
	for _, st := range b.stores {
		for _, route := range []string{read, write} {
			path, err := filepath.Abs(filepath.Join(dir, st.name+"-"+routeNames[route]+".pprof"))
			if err != nil {
				return err
			}
			if err := b.profileOne(ctx, st, route, path); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			fmt.Println(path)
		}
	}
	return nil
}

func (b *bench) profileOne(ctx context.Context, st *store, route, path string) (err error) {
	r, err := b.startOn(ctx, st, peers[0], "-cpuprofile", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.proc.stop(), r.drop()) }()
	c, err := newCrew([]string{r.proc.addr}, route, nothing, 8, false)
	if err != nil {
		return err
	}
	defer c.close()
	d := 10 * time.Second
	if b.quick {
		d = 3 * time.Second
	}
	_, err = takeSlice(r.proc, c, d)
	return err
}
