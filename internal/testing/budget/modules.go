package budget

// module is what a module may add to the functions' binary.
type module struct {
	// kB counts the bytes of its code and constants, in thousands, as they were seen. Types, and the tables that the
	// linker makes of all code, are half of the binary and not in it.
	kB  int
	why string
}

// standard stands for the standard library and for what the linker makes.
const standard = "std"

// smallModule is how many bytes a module may add without a budget of its own: thirty of them do.
const smallModule = 100_000

// moduleBudgets returns what the larger modules add. A tenth more is allowed, for their patches.
func moduleBudgets() map[string]module {
	return map[string]module{
		standard:                              {6700, "the runtime, net/http, crypto/tls, archives; cgo where there is a compiler"},
		"github.com/jobdrop/jobdrop":          {1850, "this module: rules and use cases"},
		"google.golang.org/protobuf":          {880, "the messages of Pub/Sub's client and of the OTLP exporters"},
		"google.golang.org/api":               {805, "Cloud Storage, ml/v1 and aiplatform/v1 over JSON: lighter than their own clients"},
		"google.golang.org/grpc":              {690, "Pub/Sub's client has nothing else"},
		"github.com/expr-lang/expr":           {460, "the filters and templates of routes: CEL would take 6 MB"},
		"go.opentelemetry.io/otel/sdk/metric": {370, "metrics, aggregated in the process"},
		"golang.org/x/text":                   {325, "go-mail's SCRAM login needs its tables; and IDNA"},
		"golang.org/x/net":                    {250, "HTTP/2 for gRPC, and IDNA"},
		"gopkg.in/yaml.v3":                    {200, "job.yaml and the policy, with lines and columns for violations"},
		"github.com/json-iterator/go":         {200, "the CloudEvents SDK decodes with it"},
		"go.opentelemetry.io/otel":            {195, "traces: attributes and propagation"},
		"github.com/cloudevents/sdk-go/v2":    {195, "decodes requests, and is what functions-framework-go needs"},
		"cloud.google.com/go/auth":            {195, "credentials of Google's clients"},
		"go.uber.org/zap":                     {190, "the CloudEvents SDK's client logs with it"},
		"github.com/wneessen/go-mail":         {165, "mail, with STARTTLS and every kind of login"},
		"go.opentelemetry.io/otel/sdk":        {150, "traces, batched in the process"},
		"github.com/modern-go/reflect2":       {145, "json-iterator needs it"},
		"cloud.google.com/go/pubsub/v2":       {120, "Pub/Sub's generated client alone, without its bundler"},
		"github.com/google/s2a-go":            {105, "cloud.google.com/go/auth needs it, for mTLS"},
		"golang.org/x/oauth2":                 {105, "google.golang.org/api needs it"},
	}
}
