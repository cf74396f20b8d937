package scalars

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// eventProto has the fields of TensorBoard's event.proto, summary.proto, tensor.proto and tensor_shape.proto that
// trainers write. The tests' events are encoded by it with the protobuf library, so by other code than reads them.
const eventProto = `
syntax = "proto3";
message Event {
  double wall_time = 1;
  int64 step = 2;
  string file_version = 3;
  bytes graph_def = 4;
  Summary summary = 5;
}
message Summary {
  message Value {
    bytes tag = 1; // a string, but the library would refuse one that is not UTF-8
    // The format's field is one of several. A oneof would be encoded at the end, and TensorFlow's library does not.
    optional float simple_value = 2;
    bytes image = 4;
    bytes histo = 5;
    Tensor tensor = 8;
    Metadata metadata = 9;
  }
  repeated Value value = 1;
}
message Metadata {
  message PluginData { string plugin_name = 1; bytes content = 2; }
  PluginData plugin_data = 1;
  string display_name = 2;
  int32 data_class = 4;
}
message Shape {
  message Dim { int64 size = 1; }
  repeated Dim dim = 2;
}
message Tensor {
  int32 dtype = 1;
  Shape tensor_shape = 2;
  bytes tensor_content = 4;
  repeated float float_val = 5;
  repeated double double_val = 6;
  repeated int32 int_val = 7;
  repeated bytes string_val = 8;
  repeated int64 int64_val = 10;
  repeated bool bool_val = 11;
  repeated int32 half_val = 13;
  repeated uint32 uint32_val = 16;
  repeated uint64 uint64_val = 17;
}
`

var eventType = sync.OnceValues(func() (protoreflect.MessageDescriptor, error) {
	c := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"event.proto": eventProto}),
	}}
	files, err := c.Compile(context.Background(), "event.proto")
	if err != nil {
		return nil, err
	}
	return files[0].Messages().ByName("Event"), nil
})

// encode returns events, each in protobuf's text format, as a trainer writes them.
func encode(t testing.TB, events ...string) []byte {
	t.Helper()
	var all []byte
	for _, e := range events {
		all = append(all, record(message(t, e))...)
	}
	return all
}

// message returns an event on the wire.
func message(t testing.TB, event string) []byte {
	t.Helper()
	d, err := eventType()
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(d)
	if err := prototext.Unmarshal([]byte(event), m); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// record frames data as record_writer.cc of TensorFlow describes it.
func record(data []byte) []byte {
	length := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	out := binary.LittleEndian.AppendUint32(length, maskedSum(length))
	out = append(out, data...)
	return binary.LittleEndian.AppendUint32(out, maskedSum(data))
}

// maskedSum is CRC-32C bit by bit (RFC 3720, appendix B.4), and TensorFlow's mask.
func maskedSum(data []byte) uint32 {
	sum := ^uint32(0)
	for _, b := range data {
		sum ^= uint32(b)
		for range 8 {
			low := sum & 1
			sum >>= 1
			if low == 1 {
				sum ^= 0x82f63b78
			}
		}
	}
	sum = ^sum
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// simple is an event of TensorBoard's first version.
func simple(step int, tag string, value float64) string {
	return fmt.Sprintf(`wall_time: %d step: %d summary { value { tag: %q simple_value: %s } }`,
		1_795_424_700+step, step, tag, strings.TrimPrefix(strings.ToLower(fmt.Sprint(value)), "+"))
}

// The sums are those of records that TensorFlow wrote, as TensorBoard's own tests (tf_record.rs, masked_crc.rs) give
// them: the tests' encoder agrees with it to the bit.
func TestEncoderAgreesWithTensorFlow(t *testing.T) {
	if got := maskedSum([]byte("\x1a\x11CRC test, one two")); got != 0x5794d08a {
		t.Errorf("masked sum %#x", got)
	}
	tests := []struct {
		name, event string
		length      int
		sums        [2]uint32
	}{
		{"the file's version", `wall_time: 1599759586 file_version: "brain.Event:2"`, 24, [2]uint32{0x224b7fa3, 0xab364b12}},
		{
			`tf.summary.scalar("accuracy", 0.99, step=77)`,
			`wall_time: 1599759606.859727 step: 77 summary { value { tag: "accuracy" tensor { dtype: 1 tensor_shape {}
				tensor_content: "\xa4\x70\x7d\x3f" } metadata { plugin_data { plugin_name: "scalars" } } } }`,
			50, [2]uint32{0xec561924, 0x33645ba5},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := encode(t, test.event)
			if len(data) != 16+test.length {
				t.Fatalf("%d bytes, want %d: % x", len(data)-16, test.length, data)
			}
			got := [2]uint32{binary.LittleEndian.Uint32(data[8:]), binary.LittleEndian.Uint32(data[len(data)-4:])}
			if got != test.sums {
				t.Errorf("sums %#x, want %#x", got, test.sums)
			}
		})
	}
}
