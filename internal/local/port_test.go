package local_test

import (
	"net"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local"
)

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = net.Listen("tcp", taken.Addr().String())
	if !local.PortTaken(err) {
		t.Errorf("PortTaken(%v) is false", err)
	}
	_, err = net.Listen("tcp", "127.0.0.1:http-is-not-a-number")
	if err == nil || local.PortTaken(err) {
		t.Errorf("PortTaken(%v) is true", err)
	}
	if local.PortTaken(nil) {
		t.Error("PortTaken(nil) is true")
	}
}
