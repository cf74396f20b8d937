// Package rpc serves gRPC methods by a REST API: a call becomes the request that the
// HTTP rule of its method describes, and the answer's JSON the call's response.
package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jobdrop/jobdrop/internal/local/absent"
	"github.com/jobdrop/jobdrop/internal/local/front"
)

// Handler serves the methods that files describe by the REST API behind rest. A request
// has at most maxRequest bytes. All other methods are refused. A panic of rest, which would
// end the process here, is logged and answered with INTERNAL.
func Handler(rest http.Handler, log *slog.Logger, maxRequest int, files ...*protoregistry.Files) http.Handler {
	t := &transcoder{rest: rest, log: log, files: files}
	return grpc.NewServer(grpc.MaxRecvMsgSize(maxRequest), grpc.UnknownServiceHandler(t.serve))
}

// Is reports whether a request is a gRPC call.
func Is(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

type transcoder struct {
	rest  http.Handler
	log   *slog.Logger
	files []*protoregistry.Files
}

// method returns the description of a method that is served, or nil.
func (t *transcoder) method(name string) protoreflect.MethodDescriptor {
	for _, f := range t.files {
		d, err := f.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(name, "/", ".")))
		if m, ok := d.(protoreflect.MethodDescriptor); ok && err == nil {
			return m
		}
	}
	return nil
}

// serve serves a call.
func (t *transcoder) serve(_ any, stream grpc.ServerStream) (err error) {
	name, _ := grpc.MethodFromServerStream(stream)
	name = strings.TrimPrefix(name, "/")
	defer func() {
		if p := recover(); p != nil {
			t.log.ErrorContext(stream.Context(), "a call panicked", "method", name, "panic", fmt.Sprint(p),
				"stack", string(debug.Stack()))
			err = status.Errorf(codes.Internal, "The method %s failed. The service's log says why.", name)
		}
	}()
	m := t.method(name)
	if m == nil {
		return status.Error(codes.Unimplemented, absent.Message("training service", "the method "+name))
	}
	message := dynamicpb.NewMessage(m.Input())
	if err := stream.RecvMsg(message); err != nil {
		return err
	}
	if unknown(message) {
		return status.Errorf(codes.InvalidArgument, "The request has fields that are not known here. They may be of a newer "+
			"version of %s.", m.Input().FullName())
	}
	r, err := request(m, message)
	if err != nil {
		return err
	}
	r = r.WithContext(stream.Context())
	answer := front.NewRecorder()
	t.rest.ServeHTTP(answer, r)
	if answer.Status != http.StatusOK {
		return failure(answer)
	}
	response := dynamicpb.NewMessage(m.Output())
	if err := protojson.Unmarshal(answer.Body.Bytes(), response); err != nil {
		return status.Errorf(codes.Internal, "The answer of %s can't be read: %v", name, err)
	}
	return stream.SendMsg(response)
}

// unknown reports whether a message has fields that its descriptor lacks. In JSON they would be lost.
func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					found = found || unknown(v.Message())
					return !found
				})
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || unknown(v.List().Get(i).Message())
			}
		default:
			found = found || unknown(v.Message())
		}
		return !found
	})
	return found
}

// request returns the HTTP request of a call, as google/api/http.proto says: the rule's
// path takes some fields, its body another or all the others, and what is left is the
// query.
func request(m protoreflect.MethodDescriptor, message *dynamicpb.Message) (*http.Request, error) {
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	verb, template := pattern(rule)
	path, err := expand(template, message)
	if err != nil {
		return nil, err
	}
	var body []byte
	switch rule.GetBody() {
	case "":
	case "*":
		if body, err = protojson.Marshal(message); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "The request can't be read: %v", err)
		}
		message.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool { message.Clear(f); return true })
	default:
		f := m.Input().Fields().ByName(protoreflect.Name(rule.Body))
		if body, err = protojson.Marshal(message.Get(f).Message().Interface()); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "The request can't be read: %v", err)
		}
		message.Clear(f)
	}
	query, err := parameters(message)
	if err != nil {
		return nil, err
	}
	return &http.Request{
		Method: verb, URL: &url.URL{Path: path, RawQuery: query.Encode()}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}, nil
}

// parameters returns a message's fields as a query. The methods that are served have no
// lists or messages there but a field mask, which in JSON is text.
func parameters(message *dynamicpb.Message) (url.Values, error) {
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "The request can't be read: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, err
	}
	query := url.Values{}
	for name, value := range fields {
		query.Set(name, fmt.Sprint(value))
	}
	return query, nil
}

func pattern(rule *annotations.HttpRule) (verb, template string) {
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	}
	return "", ""
}

// expand puts fields of text in the place of a template's variables, {name=pattern}, and
// clears them.
func expand(template string, message *dynamicpb.Message) (string, error) {
	var path strings.Builder
	for rest := template; rest != ""; {
		before, after, _ := strings.Cut(rest, "{")
		path.WriteString(before)
		variable, after, _ := strings.Cut(after, "}")
		rest = after
		if variable == "" {
			continue
		}
		name, pattern, _ := strings.Cut(variable, "=")
		f := message.Descriptor().Fields().ByName(protoreflect.Name(name))
		value := message.Get(f).String()
		if !matches(pattern, value) {
			return "", status.Errorf(codes.InvalidArgument, "%s: %q is not a name of the form %s.", name, value, pattern)
		}
		path.WriteString(value)
		message.Clear(f)
	}
	return path.String(), nil
}

// matches compares a resource's name with a pattern in which * stands for a segment.
func matches(pattern, name string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(want) != len(got) {
		return false
	}
	for i, segment := range want {
		if got[i] != segment && (segment != "*" || got[i] == "") {
			return false
		}
	}
	return true
}

// failure returns an answer that is an error as a call's.
func failure(answer *front.Recorder) error {
	var body struct {
		Error struct {
			Message string
			Status  string
			Details []struct {
				FieldViolations []*errdetails.BadRequest_FieldViolation
			}
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		return status.Errorf(codes.Internal, "The answer %d can't be read: %v", answer.Status, err)
	}
	number, ok := code.Code_value[body.Error.Status]
	if !ok {
		number = int32(codes.Unknown)
	}
	st := status.New(codes.Code(number), body.Error.Message)
	for _, d := range body.Error.Details {
		if len(d.FieldViolations) == 0 {
			continue
		}
		if detailed, err := st.WithDetails(&errdetails.BadRequest{FieldViolations: d.FieldViolations}); err == nil {
			st = detailed
		}
	}
	return st.Err()
}
