package training

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

const (
	// The ports of replicas are below those that Linux (32768) and the others
	// (49152) give to outgoing connections: none takes a port between the end
	// of its reservation and the replica's own listening.
	firstPort, lastPort = 15000, 32000
	// portTries is for a machine on which many ports are taken.
	portTries = 1000
)

// ports are those that jobs hold, so that no two replicas of this service get
// the same one while they run.
type ports struct {
	mu   sync.Mutex
	held map[int]bool
}

// reservation is a port of one replica. The listener keeps other programs away
// until the job's replicas are about to start.
type reservation struct {
	port     int
	listener net.Listener
}

func (r *reservation) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// open lets the replica listen. The port stays the replica's among this service's
// jobs.
func (r *reservation) open() {
	if r.listener != nil {
		_ = r.listener.Close() // nothing was accepted
		r.listener = nil
	}
}

// reserve returns n ports that nobody listens on. The caller releases them.
func (p *ports) reserve(n int) ([]*reservation, error) {
	var got []*reservation
	var last error
	for range portTries {
		if len(got) == n {
			return got, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		if !p.hold(port) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			p.drop(port)
			continue
		}
		got = append(got, &reservation{port, l})
	}
	if len(got) == n {
		return got, nil
	}
	p.release(got)
	return nil, errors.Join(fmt.Errorf("no %d free ports from %d to %d", n, firstPort, lastPort), last)
}

func (p *ports) release(rs []*reservation) {
	for _, r := range rs {
		r.open()
		p.drop(r.port)
	}
}

func (p *ports) hold(port int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[port] {
		return false
	}
	if p.held == nil {
		p.held = map[int]bool{}
	}
	p.held[port] = true
	return true
}

func (p *ports) drop(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, port)
}
