package messaging

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// kept are the fields of topics and subscriptions that are kept here, and so
// mean what they mean in the service. A field that is not named is refused, one
// of a later version of the API as well: nothing is only pretended.
var kept = map[protoreflect.FullName][]protoreflect.Name{
	// The place of storage and the retention by a topic can't be told from
	// outside without Seek.
	"google.pubsub.v1.Topic": {"name", "labels", "message_storage_policy", "message_retention_duration", "state"},
	// An expiration policy begins to matter after a day without use, and then only
	// removes what nobody used.
	"google.pubsub.v1.Subscription": {
		"name", "topic", "push_config", "ack_deadline_seconds", "message_retention_duration", "labels",
		"enable_message_ordering", "expiration_policy", "filter", "dead_letter_policy", "retry_policy",
		"detached", "enable_exactly_once_delivery", "topic_message_retention_duration", "state",
	},
	"google.pubsub.v1.PushConfig": {"push_endpoint", "attributes", "pubsub_wrapper", "no_wrapper"},
}

// checkKept refuses a message that has a field set which is not kept.
func checkKept(m protoreflect.Message) error {
	names, limited := kept[m.Descriptor().FullName()]
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case limited && !slices.Contains(names, f.Name()):
			err = unimplemented(fmt.Sprintf("%s of a %s", f.Name(), m.Descriptor().Name()))
		case f.Message() != nil && !f.IsMap() && !f.IsList():
			err = checkKept(v.Message())
		}
		return err == nil
	})
	return err
}

// applyMask copies the fields of the mask from update to m, where they are not
// among those that never change.
func applyMask[M protoreflect.ProtoMessage](m, update M, mask *fieldmaskpb.FieldMask, fixed ...string) error {
	if len(mask.GetPaths()) == 0 {
		return invalid("The update_mask is missing.")
	}
	for _, path := range mask.Paths {
		names := strings.Split(path, ".")
		if slices.Contains(fixed, names[0]) {
			return invalid("Invalid update_mask: %s never changes.", names[0])
		}
		to, from := m.ProtoReflect(), update.ProtoReflect()
		for i, name := range names {
			f := to.Descriptor().Fields().ByName(protoreflect.Name(name))
			switch {
			case f == nil || i < len(names)-1 && (f.Message() == nil || f.IsMap() || f.IsList()):
				return invalid("Invalid update_mask: there is no field %s.", path)
			case i < len(names)-1:
				to, from = to.Mutable(f).Message(), from.Get(f).Message()
			case from.Has(f):
				to.Set(f, from.Get(f))
			default:
				to.Clear(f)
			}
		}
	}
	return nil
}
