package pubsub_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/event"
)

func TestContract(t *testing.T) {
	p, server, _ := pubSub(t)
	contract.CheckPublisher(t, p, func(attempt string, _ int) (first []int64) {
		for _, m := range server.Messages() { // in the order of publishing
			if m.OrderingKey != attempt {
				continue
			}
			e, err := event.FromMessage(m.Attributes, m.Data)
			if err != nil {
				t.Fatal(err)
			}
			_, b, err := event.Decode(e)
			if err != nil {
				t.Fatal(err)
			}
			if b.Sequence > int64(len(first)) {
				first = append(first, b.Sequence)
			}
		}
		return first
	})
}
