// Package discovery serves the discovery documents of the local services: older
// clients, such as googleapiclient for Python, build themselves from them.
package discovery

import (
	_ "embed"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
)

//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen storage/v1 storage.json storage.buckets.delete storage.buckets.get storage.buckets.insert storage.buckets.list storage.buckets.patch storage.buckets.update storage.objects.compose storage.objects.copy storage.objects.delete storage.objects.get storage.objects.insert storage.objects.list storage.objects.patch storage.objects.rewrite storage.objects.update
//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen pubsub/v1 pubsub.json pubsub.projects.topics.create pubsub.projects.topics.delete pubsub.projects.topics.get pubsub.projects.topics.list pubsub.projects.topics.patch pubsub.projects.topics.publish pubsub.projects.topics.subscriptions.list pubsub.projects.subscriptions.acknowledge pubsub.projects.subscriptions.create pubsub.projects.subscriptions.delete pubsub.projects.subscriptions.get pubsub.projects.subscriptions.list pubsub.projects.subscriptions.modifyAckDeadline pubsub.projects.subscriptions.modifyPushConfig pubsub.projects.subscriptions.patch pubsub.projects.subscriptions.pull

// Storage and PubSub are the documents of Cloud Storage and Pub/Sub, reduced to
// what the local services serve.
var (
	//go:embed storage.json
	Storage []byte
	//go:embed pubsub.json
	PubSub []byte
)

// Path is where a service has its document, as Google's own have.
const Path = "/$discovery/rest"

// Serve answers with a document whose addresses are those by which the request
// came.
func Serve(w http.ResponseWriter, r *http.Request, document []byte) {
	var members map[string]any
	if err := json.Unmarshal(document, &members); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(at(members, scheme+r.Host+"/")) // the client is gone
}

// at returns the document of a service at the URL root, which ends in a slash.
func at(document map[string]any, root string) map[string]any {
	out := maps.Clone(document)
	servicePath, _ := document["servicePath"].(string)
	out["rootUrl"], out["baseUrl"] = root, root+strings.TrimPrefix(servicePath, "/")
	return out
}
