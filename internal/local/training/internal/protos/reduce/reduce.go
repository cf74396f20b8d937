// Package reduce takes out of the descriptors of an API what some of its methods
// need.
package reduce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Methods returns the descriptors of methods, and of all that they reach, as the
// JSON of a FileDescriptorSet. Of options only the HTTP rules are kept. Protobuf's
// own types are left out: each program that reads the set has them.
func Methods(files *protoregistry.Files, names []string) ([]byte, error) {
	r := reached{names: map[protoreflect.FullName]bool{}}
	for _, name := range names {
		d, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, err
		}
		m, ok := d.(protoreflect.MethodDescriptor)
		if !ok {
			return nil, fmt.Errorf("%s is not a method", name)
		}
		r.add(m.Parent())
		r.add(m)
		r.message(m.Input())
		r.message(m.Output())
	}
	set := &descriptorpb.FileDescriptorSet{}
	slices.SortFunc(r.files, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	for _, f := range r.files {
		set.File = append(set.File, r.file(f))
	}
	// The JSON of package protojson has random spaces.
	text, err := protojson.Marshal(set)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", " "); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

// own is the folder of Protobuf's own types.
const own = "google/protobuf/"

// reached is what methods reach.
type reached struct {
	names map[protoreflect.FullName]bool
	files []protoreflect.FileDescriptor
}

// add notes a descriptor. It reports whether that is new.
func (r *reached) add(d protoreflect.Descriptor) bool {
	f := d.ParentFile()
	if strings.HasPrefix(f.Path(), own) || r.names[d.FullName()] {
		return false
	}
	r.names[d.FullName()] = true
	if !slices.Contains(r.files, f) {
		r.files = append(r.files, f)
	}
	return true
}

// message notes a message and all that it reaches.
func (r *reached) message(m protoreflect.MessageDescriptor) {
	if !r.add(m) {
		return
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() != nil {
			r.message(f.Message())
		}
		if f.Enum() != nil {
			r.add(f.Enum())
		}
	}
}

// file returns what is reached of a file.
func (r *reached) file(f protoreflect.FileDescriptor) *descriptorpb.FileDescriptorProto {
	whole := protodesc.ToFileDescriptorProto(f)
	out := &descriptorpb.FileDescriptorProto{Name: whole.Name, Package: whole.Package, Syntax: whole.Syntax,
		Edition: whole.Edition}
	for i := range f.Imports().Len() {
		path := f.Imports().Get(i).Path()
		if strings.HasPrefix(path, own) ||
			slices.ContainsFunc(r.files, func(f protoreflect.FileDescriptor) bool { return f.Path() == path }) {
			out.Dependency = append(out.Dependency, path)
		}
	}
	in := f.Package()
	out.MessageType = r.messages(in, whole.MessageType)
	out.EnumType = r.enums(in, whole.EnumType)
	for _, s := range whole.Service {
		name := in.Append(protoreflect.Name(s.GetName()))
		if !r.names[name] {
			continue
		}
		s.Options = nil
		s.Method = slices.DeleteFunc(s.Method, func(m *descriptorpb.MethodDescriptorProto) bool {
			return !r.names[name.Append(protoreflect.Name(m.GetName()))]
		})
		for _, m := range s.Method {
			rule := proto.GetExtension(m.Options, annotations.E_Http)
			m.Options = &descriptorpb.MethodOptions{}
			proto.SetExtension(m.Options, annotations.E_Http, rule)
		}
		out.Service = append(out.Service, s)
	}
	return out
}

// messages returns those that are reached, and as empty ones those around them.
func (r *reached) messages(in protoreflect.FullName, all []*descriptorpb.DescriptorProto) []*descriptorpb.DescriptorProto {
	var out []*descriptorpb.DescriptorProto
	for _, m := range all {
		name := in.Append(protoreflect.Name(m.GetName()))
		m.NestedType, m.EnumType = r.messages(name, m.NestedType), r.enums(name, m.EnumType)
		switch {
		case r.names[name]:
			if !m.Options.GetMapEntry() {
				m.Options = nil
			}
			for _, f := range m.Field {
				f.Options = nil
			}
			out = append(out, m)
		case len(m.NestedType) > 0 || len(m.EnumType) > 0:
			out = append(out, &descriptorpb.DescriptorProto{Name: m.Name, NestedType: m.NestedType, EnumType: m.EnumType})
		}
	}
	return out
}

// enums returns the enumerations that are reached.
func (r *reached) enums(in protoreflect.FullName, all []*descriptorpb.EnumDescriptorProto) []*descriptorpb.EnumDescriptorProto {
	var out []*descriptorpb.EnumDescriptorProto
	for _, e := range all {
		if !r.names[in.Append(protoreflect.Name(e.GetName()))] {
			continue
		}
		for _, v := range e.Value {
			v.Options = nil
		}
		if !e.Options.GetAllowAlias() {
			e.Options = nil
		}
		out = append(out, e)
	}
	return out
}
