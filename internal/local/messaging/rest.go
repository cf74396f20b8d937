package messaging

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/jobdrop/jobdrop/internal/local/absent"
	"github.com/jobdrop/jobdrop/internal/local/front"
)

// maxBody is the largest request that may be one to publish as much as is
// allowed: base64 makes it longer by a third.
const maxBody = maxPublish/3*4 + 1<<20

// transcoder serves gRPC services as REST and JSON, by the HTTP rules that their
// descriptors carry. It is a [grpc.ServiceRegistrar]: what is registered is
// served.
type transcoder struct {
	routes      []route
	interceptor grpc.UnaryServerInterceptor
}

// route is one HTTP rule of one method.
type route struct {
	verb   string
	path   *regexp.Regexp
	fields []string // which the path's groups fill
	body   string   // a field, * for the whole request, or empty

	service any
	method  grpc.MethodDesc
}

// RegisterService implements [grpc.ServiceRegistrar]. It panics if a service can't be
// served: its description is compiled in.
func (t *transcoder) RegisterService(desc *grpc.ServiceDesc, service any) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(desc.ServiceName))
	if err != nil {
		panic(err)
	}
	methods := d.(protoreflect.ServiceDescriptor).Methods()
	for _, method := range desc.Methods {
		m := methods.ByName(protoreflect.Name(method.MethodName))
		rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		if !ok || rule == nil {
			continue
		}
		rules := append([]*annotations.HttpRule{rule}, rule.AdditionalBindings...)
		for _, r := range append(rules, additional[m.FullName()]...) {
			verb, template := pattern(r)
			path, fields, err := compile(template)
			if err != nil {
				panic(fmt.Sprintf("%s: %v", m.FullName(), err))
			}
			t.routes = append(t.routes, route{verb, path, fields, r.Body, service, method})
		}
	}
}

// additional are the rules that Pub/Sub has in its service's configuration alone.
var additional = map[protoreflect.FullName][]*annotations.HttpRule{
	"google.iam.v1.IAMPolicy.GetIamPolicy": {{Pattern: &annotations.HttpRule_Get{Get: "/v1/{resource=**}:getIamPolicy"}}},
}

func pattern(r *annotations.HttpRule) (verb, template string) {
	switch p := r.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	}
	return "", ""
}

var errTemplate = errors.New("not a path template")

// compile makes a regular expression of a path template, as google/api/http.proto
// has them, with a group for each variable. It matches escaped paths.
func compile(template string) (*regexp.Regexp, []string, error) {
	if !strings.HasPrefix(template, "/") {
		return nil, nil, errTemplate
	}
	var fields []string
	var expression strings.Builder
	for rest := template; rest != ""; {
		before, after, variable := strings.Cut(rest, "{")
		expression.WriteString(wildcards(before, false))
		rest = after
		if variable {
			name, after, ok := strings.Cut(rest, "}")
			field, pattern, given := strings.Cut(name, "=")
			if !given {
				pattern = "*"
			}
			if !ok || field == "" || pattern == "" || strings.Contains(pattern, "{") {
				return nil, nil, errTemplate
			}
			fields = append(fields, field)
			expression.WriteString("(" + wildcards(pattern, strings.HasPrefix(after, "/")) + ")")
			rest = after
		}
	}
	e, err := regexp.Compile("^" + expression.String() + "$")
	return e, fields, err
}

// wildcards makes a regular expression of a part of a template; more tells that a
// slash follows. A colon begins a custom verb in a path's last segment; in those
// before it, it may be part of a project's name.
func wildcards(pattern string, more bool) string {
	e := regexp.QuoteMeta(pattern)
	e = strings.ReplaceAll(e, `\*\*`, `.+`)
	e = strings.ReplaceAll(e, `\*/`, `[^/]+/`)
	last := `[^/:]+`
	if more {
		last = `[^/]+`
	}
	return strings.ReplaceAll(e, `\*`, last)
}

// ServeHTTP implements [http.Handler].
func (t *transcoder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, err := front.Overridden(r)
	if err != nil {
		writeError(w, invalid("%v.", err))
		return
	}
	path := r.URL.EscapedPath()
	for _, route := range t.routes {
		groups := route.path.FindStringSubmatch(path)
		if groups == nil || route.verb != r.Method {
			continue
		}
		body, err := t.answer(w, r, route, groups[1:])
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, body)
		return
	}
	if strings.HasPrefix(path, "/v1/") { // where 404 would say that a resource is gone
		writeError(w, unimplemented("the method "+r.Method+" "+r.URL.Path))
		return
	}
	writeError(w, status.Errorf(codes.NotFound, "The requested URL %s was not found for the method %s.", r.URL.Path,
		r.Method))
}

// answer returns the JSON of a method's response, as the system parameters ask for it.
func (t *transcoder) answer(w http.ResponseWriter, r *http.Request, route route, groups []string) ([]byte, error) {
	query, err := front.Query(r)
	if err != nil {
		return nil, invalid("The request's query can't be read: %v.", err)
	}
	asked, err := front.Take(query)
	if err != nil {
		return nil, invalid("Invalid request: %v.", err)
	}
	response, err := t.call(w, r, route, groups, query)
	if err != nil {
		return nil, err
	}
	body, err := protojson.MarshalOptions{UseEnumNumbers: asked.EnumNumbers}.Marshal(response)
	if err != nil || asked.Fields == "" {
		return body, err
	}
	return json.Marshal(front.Selected(json.RawMessage(body), asked.Fields))
}

func (t *transcoder) call(w http.ResponseWriter, r *http.Request, route route, groups []string, query url.Values,
) (proto.Message, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return nil, invalid(tooLarge)
	}
	if err != nil {
		return nil, invalid("The request's body can't be read: %v.", err)
	}
	decode := func(request any) error {
		return decode(request.(proto.Message).ProtoReflect(), route, groups, query, body)
	}
	response, err := route.method.Handler(route.service, r.Context(), decode, t.interceptor)
	if err != nil {
		return nil, err
	}
	return response.(proto.Message), nil
}

// decode fills a request from its three sources. The path goes last, so that a
// body that says something else can't win.
func decode(request protoreflect.Message, route route, groups []string, query url.Values, body []byte) error {
	target := request
	switch {
	case route.body == "" && len(body) > 0:
		return invalid("This method takes no body.")
	case route.body != "" && route.body != "*":
		f := field(request, route.body)
		if f == nil || !isMessage(f) {
			return status.Errorf(codes.Internal, "The rule's body %s is not a message.", route.body)
		}
		target = request.Mutable(f).Message()
	}
	if len(body) > 0 {
		if err := protojson.Unmarshal(body, target.Interface()); err != nil {
			return invalid("Invalid JSON payload received: %s.", clean(err))
		}
	}
	if err := decodeQuery(request, query); err != nil {
		return err
	}
	for i, group := range groups {
		value, err := url.PathUnescape(group)
		if err != nil {
			return invalid("The path's %q can't be read.", group)
		}
		if err := setString(request, route.fields[i], value); err != nil {
			return err
		}
	}
	return nil
}

// decodeQuery makes JSON of the parameters, which then is decoded by the rules
// of the fields.
func decodeQuery(request protoreflect.Message, query url.Values) error {
	tree := make(map[string]any)
	for name, values := range query {
		at, in := request.Descriptor(), tree
		parts := strings.Split(name, ".")
		for i, part := range parts {
			f := at.Fields().ByJSONName(part)
			if f == nil {
				f = at.Fields().ByName(protoreflect.Name(part))
			}
			if f == nil || f.IsMap() || i < len(parts)-1 && !isMessage(f) {
				return invalid("Invalid request: there is no parameter %q.", name)
			}
			if i == len(parts)-1 {
				value, err := parameter(f, values)
				if err != nil {
					return invalid("Invalid value of the parameter %q.", name)
				}
				in[f.JSONName()] = value
				break
			}
			inner, ok := in[f.JSONName()].(map[string]any)
			if !ok {
				inner = make(map[string]any)
				in[f.JSONName()] = inner
			}
			at, in = f.Message(), inner
		}
	}
	if len(tree) == 0 {
		return nil
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return invalid("The request's query can't be read: %v.", err)
	}
	parsed := request.New()
	if err := protojson.Unmarshal(text, parsed.Interface()); err != nil {
		return invalid("Invalid parameters of the request: %s.", clean(err))
	}
	proto.Merge(request.Interface(), parsed.Interface())
	return nil
}

// parameter returns the JSON value of a field. JSON takes numbers, enumerations and the
// like as strings, but no booleans.
func parameter(f protoreflect.FieldDescriptor, values []string) (any, error) {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
		if f.Kind() == protoreflect.BoolKind {
			parsed, err := strconv.ParseBool(v)
			if err != nil {
				return nil, err
			}
			all[i] = parsed
		}
	}
	if f.IsList() {
		return all, nil
	}
	return all[len(all)-1], nil
}

func field(m protoreflect.Message, name string) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(protoreflect.Name(name))
}

func isMessage(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsList() && !f.IsMap()
}

// setString sets a field of text, which may be inside others: a.b.
func setString(m protoreflect.Message, path, value string) error {
	names := strings.Split(path, ".")
	for i, name := range names {
		f := field(m, name)
		switch {
		case f != nil && i < len(names)-1 && isMessage(f):
			m = m.Mutable(f).Message()
		case f != nil && i == len(names)-1 && f.Kind() == protoreflect.StringKind && !f.IsList():
			m.Set(f, protoreflect.ValueOfString(value))
		default:
			return status.Errorf(codes.Internal, "The rule's %s is not a field of text.", path)
		}
	}
	return nil
}

// clean takes off what protojson begins its errors with, which is random to keep
// programs from reading them.
func clean(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(text, "proto: ")
}

// httpStatus is google/rpc/code.proto's, but for what is not here.
var httpStatus = map[codes.Code]int{
	codes.Canceled: 499, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504, codes.NotFound: 404,
	codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.FailedPrecondition: 400,
	codes.Aborted: 409, codes.OutOfRange: 400, codes.Unimplemented: absent.Status, codes.Unavailable: 503,
	codes.Unauthenticated: 401,
}

// writeError writes an error in the form of Google's APIs.
func writeError(w http.ResponseWriter, err error) {
	st := status.Convert(err)
	number, ok := httpStatus[st.Code()]
	if !ok {
		number = http.StatusInternalServerError
	}
	type body struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Status  string            `json:"status"`
		Details []json.RawMessage `json:"details,omitempty"`
	}
	e := body{Code: number, Message: st.Message(), Status: code.Code(st.Code()).String()}
	for _, detail := range st.Proto().GetDetails() {
		if text, err := protojson.Marshal(detail); err == nil {
			e.Details = append(e.Details, text)
		}
	}
	text, err := json.Marshal(map[string]body{"error": e})
	if err != nil {
		panic(err) // numbers and strings have no JSON that fails
	}
	writeJSON(w, number, text)
}

func writeJSON(w http.ResponseWriter, number int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(number)
	_, _ = w.Write(append(body, '\n')) // the client is gone
}
