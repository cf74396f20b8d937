// Command alert reads a subscription of lifecycle events with Google's Go library, and
// prints a line for each. If ALERT_URL is set it posts the line there, too, as the
// incoming webhooks of Slack and other chats take it.
//
//	go run ./docs/clients/alert projects/PROJECT/subscriptions/NAME
//
// An event is acknowledged once it was told. One that could not be told comes again.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/jobdrop/jobdrop/pkg/event"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: alert projects/PROJECT/subscriptions/NAME")
	}
	a := alerter{url: os.Getenv("ALERT_URL"), told: map[string]int64{}}
	if err := a.run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

type alerter struct {
	url  string
	mu   sync.Mutex
	told map[string]int64 // the last sequence of each attempt: delivery is at least once
}

func (a *alerter) run(ctx context.Context, subscription string) error {
	client, err := pubsub.NewClient(ctx, strings.Split(subscription+"/", "/")[1])
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Subscriber(subscription).Receive(ctx, func(ctx context.Context, m *pubsub.Message) {
		if err := a.tell(ctx, m); err != nil {
			log.Print(err)
			m.Nack()
			return
		}
		m.Ack()
	})
}

func (a *alerter) tell(ctx context.Context, m *pubsub.Message) error {
	e, err := event.FromMessage(m.Attributes, m.Data)
	if err != nil {
		return err
	}
	t, body, err := event.Decode(e)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if body.Sequence <= a.told[body.Attempt] {
		return nil
	}
	what := body.Reason
	if what == "" {
		what = string(body.State)
	}
	// What a job says must not call a whole channel: no <!here>.
	line := strings.NewReplacer("<", "‹", ">", "›").Replace(fmt.Sprintf("%s %s: %s", t.Short(), e.Subject(), what))
	if err := post(ctx, a.url, line); err != nil {
		return err
	}
	fmt.Println(line)
	a.told[body.Attempt] = body.Sequence
	return nil
}

func post(ctx context.Context, to, line string) error {
	if to == "" {
		return nil
	}
	body, err := json.Marshal(map[string]string{"text": line})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err // without the URL, which may be a secret
	} else if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return errors.New("the webhook answered " + answer.Status)
	}
	return nil
}
