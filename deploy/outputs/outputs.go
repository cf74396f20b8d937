// Package outputs reads what terraform output -json says of an installation, for
// the commands that do something with it after a deployment. The names are those
// of deploy/examples.
package outputs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Installation is what is known of one.
type Installation struct {
	// Environment holds the environment variables of the functions.
	Environment map[string]string
	// Trigger is nil if a notification wakes Submit.
	Trigger *Trigger
}

// Trigger is the Eventarc trigger whose subscription Terraform can't change.
type Trigger struct {
	// Trigger is its name, projects/P/locations/L/triggers/T.
	Trigger string `json:"trigger"`
	// DeadLetterTopic is a topic, projects/P/topics/T.
	DeadLetterTopic string `json:"dead_letter_topic"`
	// PubSubAgent is the e-mail of Pub/Sub's own service account.
	PubSubAgent string `json:"pubsub_agent"`
}

// Read reads a file with the outputs. name picks one of several installations; it
// is empty where there is one.
func Read(file, name string) (Installation, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Installation{}, err
	}
	i, err := parse(data, name)
	if err != nil {
		return i, fmt.Errorf("%s: %w", file, err)
	}
	return i, nil
}

func parse(data []byte, name string) (Installation, error) {
	var all map[string]struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return Installation{}, fmt.Errorf("it is not what terraform output -json prints: %w", err)
	}
	var i Installation
	var err error
	if name == "" {
		if all["environment"].Value == nil {
			return i, missing(all["environments"].Value, "no output named environment")
		}
		err = json.Unmarshal(all["environment"].Value, &i.Environment)
		if value := all["inbox_trigger"].Value; value != nil {
			err = errors.Join(err, json.Unmarshal(value, &i.Trigger))
		}
	} else {
		var environments map[string]map[string]string
		var triggers map[string]*Trigger
		if value := all["environments"].Value; value != nil {
			err = json.Unmarshal(value, &environments)
		}
		if value := all["inbox_triggers"].Value; value != nil {
			err = errors.Join(err, json.Unmarshal(value, &triggers))
		}
		if err == nil && environments[name] == nil {
			return i, missing(all["environments"].Value, "no installation named "+name)
		}
		i.Environment, i.Trigger = environments[name], triggers[name]
	}
	if err != nil {
		return Installation{}, err
	}
	if t := i.Trigger; t != nil && (t.Trigger == "" || t.DeadLetterTopic == "" || t.PubSubAgent == "") {
		return Installation{}, errors.New("the output inbox_trigger lacks trigger, dead_letter_topic or pubsub_agent")
	}
	return i, nil
}

// missing says what there is instead.
func missing(environments json.RawMessage, what string) error {
	var names map[string]json.RawMessage
	if json.Unmarshal(environments, &names) != nil || len(names) == 0 {
		return fmt.Errorf("%s: apply the configuration first, with the outputs of deploy/examples", what)
	}
	return fmt.Errorf("%s: name one of the installations %s", what, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}
