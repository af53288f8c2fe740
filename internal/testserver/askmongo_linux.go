package testserver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// askMongo sends {ping: 1} and is nil when the answer has ok: 1. FerretDB listens
// before its PostgreSQL is reached, so that it takes connections says nothing.
func askMongo(port int) error {
	conn, err := dial(port)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(pingMessage()); err != nil {
		return err
	}
	var size [4]byte // of the message, these four included
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(size[:])
	// Somebody else may have the port: believe no size.
	if n < 16 || n > 1<<16 {
		return errors.New("not MongoDB's protocol")
	}
	answer := make([]byte, n-4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	ok := []byte("\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f") // the double 1
	if !bytes.Contains(answer, ok) {
		return errors.New("mongo does not answer the ping well yet")
	}
	return nil
}

// pingMessage is an OP_MSG with one document: {ping: 1, $db: "admin"}.
func pingMessage() []byte {
	le := binary.LittleEndian
	document := []byte("\x10ping\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00")
	var m []byte
	m = le.AppendUint32(m, 0)    // size of the message, see below
	m = le.AppendUint32(m, 1)    // number of the request
	m = le.AppendUint32(m, 0)    // it answers none
	m = le.AppendUint32(m, 2013) // OP_MSG
	m = le.AppendUint32(m, 0)    // no flags
	m = append(m, 0)             // one document follows
	m = le.AppendUint32(m, uint32(4+len(document)))
	m = append(m, document...)
	le.PutUint32(m, uint32(len(m)))
	return m
}
