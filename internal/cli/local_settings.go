package cli

import (
	"strings"
	"text/template"

	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
)

// settingsText is what jobdrop local prints when it is ready. A test pastes its
// commands into a shell; docs/clients holds whole programs for each client.
var settingsText = template.Must(template.New("settings").Parse(`
{{- $upload := print .Stack.StorageURL "/upload/storage/v1/b/" .Inbox "/o?uploadType=media&name=hello/" -}}
{{- $subscription := print "http://" .Stack.PubSub "/v1/projects/" .Project "/subscriptions/curl-events" -}}
jobdrop local is ready; its data is in {{.Data}}

  Cloud Storage              {{.Stack.StorageURL}}
  Pub/Sub, gRPC and REST     {{.Stack.PubSub}}
  ml/v1, aiplatform/v1, logs {{.Stack.BackendURL}}
  functions                  {{.Stack.FunctionsURL}}
  the console                {{.Console}}
{{- if .Remote}}
  Other machines put this machine's name in place of the address.{{end}}

  gs://{{.Inbox}}/FOLDER/      drop a job file and its packages here
  gs://{{.Status}}/FOLDER/     status.json: what became of it
  gs://{{.Output}}/            for job directories
  {{.Stack.Topic}}

Go, Node and Python, with Google's libraries
{{- range .Libraries}}
  export {{.}}{{end}}

gcloud and gsutil
{{- range .Gcloud}}
  export {{.}}{{end}}
  gcloud pubsub subscriptions create my-events --topic=jobdrop-lifecycle --enable-message-ordering
  gcloud storage cp job.yaml trainer-0.1.tar.gz gs://{{.Inbox}}/hello/
  gcloud pubsub subscriptions pull my-events --auto-ack --limit=10
  {{.StreamLogs}}

curl
  curl -X PUT -H 'Content-Type: application/json' -d '{"topic": "{{.Stack.Topic}}", "enableMessageOrdering": true}'
{{- " "}}{{$subscription}}
  curl --data-binary @trainer-0.1.tar.gz '{{$upload}}trainer-0.1.tar.gz'
  curl --data-binary @job.yaml '{{$upload}}job.yaml'
  curl '{{.Stack.StorageURL}}/storage/v1/b/{{.Status}}/o/hello%2Fstatus.json?alt=media'
  curl -H 'Content-Type: application/json' -d '{"maxMessages": 10}' {{$subscription}}:pull

jobdrop
  jobdrop logs JOB --follow --endpoint {{.Stack.BackendURL}}

Events, as they come; an interrupt ends the stack:
`))

// settings are how clients reach a stack.
type settings struct {
	Stack *local.Stack
	Data  string
	// Console is the address of the stack's console.
	Console                        string
	Remote                         bool // from other machines, too
	Project, Inbox, Status, Output string
	// StreamLogs is gcloud's command for the log of a job of the stack's backend.
	StreamLogs string
	// Libraries and Gcloud are variables, as NAME=value for a shell.
	Libraries, Gcloud []string
}

func newSettings(stack *local.Stack, o localOptions, console string) settings {
	s := settings{
		Stack: stack, Data: o.data, Console: console, Remote: o.allowRemote,
		StreamLogs: "gcloud ai-platform jobs stream-logs JOB",
		Project:    local.Project, Inbox: stack.Names().Inbox, Status: stack.Names().Status, Output: local.Output,
	}
	if stack.Backend() == vertex.Name {
		s.StreamLogs = "gcloud ai custom-jobs stream-logs JOB --region=REGION"
	}
	for _, kv := range stack.ClientEnv() {
		name, value, _ := strings.Cut(kv, "=")
		setting := name + "=" + envfile.Quote(value)
		switch {
		case strings.HasPrefix(name, "CLOUDSDK_"), name == "BOTO_CONFIG":
			s.Gcloud = append(s.Gcloud, setting)
		case !strings.HasPrefix(name, "JOBDROP_"):
			s.Libraries = append(s.Libraries, setting)
		}
	}
	return s
}

// settings prints how to reach a stack. Events are shown from then on.
func (p *printer) settings(s settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check(settingsText.Execute(p.out, s))
	close(p.known)
}
