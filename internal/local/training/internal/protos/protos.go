// Package protos has the descriptors of the gRPC methods that the training service
// serves. Google's generated packages would have them, too, with those of all other
// methods: of aiplatform/v1 they make a program larger by 5 MB.
package protos

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	_ "google.golang.org/genproto/googleapis/api/annotations" // the HTTP rules, which the descriptors carry
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/anypb" // Protobuf's own types, which they leave out
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

//go:generate go run ./gen aiplatform.json google.cloud.aiplatform.v1.JobService.CancelCustomJob google.cloud.aiplatform.v1.JobService.CreateCustomJob google.cloud.aiplatform.v1.JobService.GetCustomJob google.cloud.aiplatform.v1.JobService.ListCustomJobs google.cloud.aiplatform.v1.JobService.CancelHyperparameterTuningJob google.cloud.aiplatform.v1.JobService.CreateHyperparameterTuningJob google.cloud.aiplatform.v1.JobService.GetHyperparameterTuningJob google.cloud.aiplatform.v1.JobService.ListHyperparameterTuningJobs
//go:generate go run ./gen logging.json google.logging.v2.LoggingServiceV2.ListLogEntries

var (
	//go:embed aiplatform.json
	aiplatform []byte
	//go:embed logging.json
	logging []byte
)

// Aiplatform and Logging return the descriptors of the methods that are served of
// aiplatform/v1 and of logging/v2, and of all that these reach.
func Aiplatform() (*protoregistry.Files, error) { return parse(aiplatform) }

// Logging is described at [Aiplatform].
func Logging() (*protoregistry.Files, error) { return parse(logging) }

func parse(text []byte) (*protoregistry.Files, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := protojson.Unmarshal(text, set); err != nil {
		return nil, err
	}
	// The files may come in any order: each waits for those that it imports.
	files, waiting := &protoregistry.Files{}, set.File
	for len(waiting) > 0 {
		var still []*descriptorpb.FileDescriptorProto
		var errs []error
		for _, f := range waiting {
			d, err := protodesc.NewFile(f, resolver{files})
			if err == nil {
				err = files.RegisterFile(d)
			} else {
				still = append(still, f)
			}
			errs = append(errs, err)
		}
		if len(still) == len(waiting) {
			return nil, fmt.Errorf("descriptors: %w", errors.Join(errs...))
		}
		waiting = still
	}
	return files, nil
}

// resolver finds Protobuf's own types among those that are compiled in.
type resolver struct{ *protoregistry.Files }

// FindFileByPath implements [protodesc.Resolver].
func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := r.Files.FindFileByPath(path); err == nil {
		return f, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

// FindDescriptorByName implements [protodesc.Resolver].
func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := r.Files.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// Numbers returns the numbers of the values of the enumeration that a field of a message
// of a package is of, by their names. The message is named as discovery documents do,
// without dots between those that are inside of each other; the field has its name in JSON.
func Numbers(files *protoregistry.Files, in protoreflect.FullName, message, field string) map[string]int32 {
	var numbers map[string]int32
	files.RangeFilesByPackage(in, func(f protoreflect.FileDescriptor) bool {
		m := named(f.Messages(), message)
		if m == nil {
			return true
		}
		if e := m.Fields().ByJSONName(field); e != nil && e.Enum() != nil {
			numbers = map[string]int32{}
			values := e.Enum().Values()
			for i := range values.Len() {
				numbers[string(values.Get(i).Name())] = int32(values.Get(i).Number())
			}
		}
		return false
	})
	return numbers
}

// named returns the message of a name without dots, or nil.
func named(all protoreflect.MessageDescriptors, name string) protoreflect.MessageDescriptor {
	for i := range all.Len() {
		m := all.Get(i)
		rest, ok := strings.CutPrefix(name, string(m.Name()))
		if ok && rest == "" {
			return m
		}
		if inner := named(m.Messages(), rest); ok && inner != nil {
			return inner
		}
	}
	return nil
}
