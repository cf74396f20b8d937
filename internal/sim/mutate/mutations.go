package main

// mutation is one safeguard less. To add one, add a row: a name that says what is
// missing, its edits, and by, the test that has to go red; without by it is the
// simulator that has to notice, in a thousand seeds or rare times as many.
type mutation struct {
	name  string
	edits []edit
	by    test
	rare  int
}

// edit replaces a text that stands in a file once.
type edit struct{ file, text, by string }

// test names tests of a package, as go test -run does.
type test struct{ pkg, run string }

var mutations = []mutation{
	{name: "compare labels at 409", edits: []edit{{"pkg/submitter/submitter.go", "errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, stored.Spec.Labels)", "errors.As(err, &conflict)"}}},
	{name: "compare-and-swap", edits: []edit{{"pkg/ledger/ledger.go", "recordName(s.Attempt), data, jsonType, filed(next), s.Generation)", "recordName(s.Attempt), data, jsonType, filed(next), job.AnyGeneration)"}}},
	{name: "outbox in the swap", edits: []edit{{"pkg/ledger/ledger.go", "data, err := json.Marshal(next)", "kept := next\n\t\tkept.Outbox = nil\n\t\tdata, err := json.Marshal(kept)"}}},
	{name: "outbox order", edits: []edit{
		{"pkg/relay/relay.go", "s.Record.Published(s.Published).Outbox); err", "reversed(s.Record.Published(s.Published).Outbox)); err"},
		{"pkg/relay/relay.go", "// writeStatus writes the attempt's", "func reversed(events []job.Event) (r []job.Event) {\n\tfor i := range events {\n\t\tr = append(r, events[len(events)-1-i])\n\t}\n\treturn r\n}\n\n// writeStatus writes the attempt's"},
	}},
	{name: "claim", edits: []edit{{"pkg/job/step.go", "!r.Queued && (r.Creating == nil || !now.Before(r.Creating.Until)) && !now.Before(r.NextTry)", "!r.Queued && !now.Before(r.NextTry)"}}},
	{name: "fence: a lost claim has no say", edits: []edit{
		{"pkg/job/step.go", "func (o Postpone) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {", "func (o Postpone) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted {"},
		{"pkg/job/step.go", "func (o Refuse) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {", "func (o Refuse) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted {"},
	}},
	{name: "fence: no call after the claim", edits: []edit{
		{"pkg/submitter/submitter.go", "if stored.Creating.Until.Sub(s.Now()) < 2*s.CallTime {", "if false {"},
		{"pkg/submitter/submitter.go", "context.WithDeadline(ctx, stored.Creating.Until)", "context.WithCancel(ctx)"},
	}},
	{name: "generation pin", edits: []edit{{"pkg/submitter/decide.go", "err := s.objects.Copy(ctx, p, s.Staging, name)", "live := p\n\t\tlive.Generation = 0\n\t\terr := s.objects.Copy(ctx, live, s.Staging, name)"}}},
	{name: "settle rule", edits: []edit{{"pkg/submitter/decide.go", "if !now.Before(e.until) {", "if true {"}}},
	{name: "terminal wins", edits: []edit{
		{"pkg/job/step.go", "if r.State.Terminal() {\n\t\treturn r, false, nil\n\t}", ""},
		{"pkg/job/look.go", "func (o seen) apply(r *Record, now time.Time) error {\n\tif r.State != Accepted && r.State != Submitted {", "func (o seen) apply(r *Record, now time.Time) error {\n\tif r.State.Undecided() {"},
	}},
	{name: "await of the publish", edits: []edit{{"pkg/relay/relay.go", "s.Record.Published(s.Published).Outbox); err != nil {\n\t\t\treturn err\n\t\t}", "s.Record.Published(s.Published).Outbox); err != nil {\n\t\t\t_ = err\n\t\t}"}}},
	{name: "look-up after an unknown outcome", edits: []edit{{"pkg/submitter/submitter.go", "if doubtful {\n\t\t\treturn s.lookFor(ctx, stored, final)\n\t\t}\n\t\t", ""}}},
	{name: "look-up before the time for submits ends", edits: []edit{{"pkg/job/step.go", "if r.Overdue(now) && r.UnknownUntil.IsZero() {", "if r.Overdue(now) {"}}},
	{name: "no refusal while an earlier create may have its effect", edits: []edit{{"pkg/job/step.go", "return !r.UnknownUntil.IsZero(), now.Before(r.UnknownUntil)", "return !r.UnknownUntil.IsZero(), false"}}},
	{name: "index before record", edits: []edit{{"pkg/submitter/submitter.go", "stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = s.records.Open(ctx, job.NewEntry(stored))", "stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = nil"}}},
	{name: "index entry goes last", edits: []edit{{"pkg/relay/relay.go", "if news {\n", "if s.State.Terminal() {\n\t\tif err := r.index.Close(ctx, s.Attempt); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tif news {\n"}}},
	{name: "status.json never goes back", edits: []edit{{"pkg/relay/relay.go", "case there.newer(v):", "case false && there.newer(v):"}}},
	{name: "an old record tells nothing", edits: []edit{{"pkg/relay/relay.go", "if known.Revision > s.Revision {", "if false && known.Revision > s.Revision {"}}},
	{name: "turn before the create", edits: []edit{{"pkg/submitter/queue.go", "err := s.records.GiveTurns(ctx, turns)\n", "var err error\n"}}},
	{name: "look-ups before a create that may be the second", edits: []edit{{"pkg/submitter/submitter.go", "if o := s.lookFor(ctx, stored, nil); o != nil {", "if o := s.lookFor(ctx, stored, nil); o != nil && s.trainer.TakesID() {"}}},
	{name: "look-ups until no create is under way", edits: []edit{{"pkg/submitter/submitter.go", "case early, !s.trainer", "case early && s.trainer.TakesID(), !s.trainer"}}},
	{name: "cancel of a second job", edits: []edit{{"pkg/watcher/watcher.go", "err := w.trainer.Cancel(ctx, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName})", "var err error"}}, rare: 6},
	{name: "cancel of a second job after the verdict", edits: []edit{{"pkg/watcher/scan.go", "t.cancelDoubles(ctx, stored.Attempt", "t.cancelDoubles(ctx, stored.Attempt[:0]"}}, rare: 6},
	{name: "cancelRequested before the cancel", edits: []edit{{"pkg/watcher/watcher.go", "stored, _, err := w.records.Apply(ctx, stored, job.CancelJob", "_ = w.trainer.Cancel(ctx, stored.Job)\n\tstored, _, err := w.records.Apply(ctx, stored, job.CancelJob"}}},
	{name: "grace before a cancel", edits: []edit{{"pkg/job/look.go", "at := l.end().Add(r.Patience.grace(l.kind))", "at := l.end()"}}},
	{name: "a warning by both clocks", edits: []edit{{"pkg/job/look.go", "since, late := l.seen, l.begin", "since, late := l.begin, l.begin"}}},
	{name: "a list that lags is only a reason to look", edits: []edit{{"pkg/watcher/watcher.go", " && !stored.Behind(l)", ""}}},
	{name: "cancel of a job that was given up", edits: []edit{{"pkg/watcher/scan.go", "case !t.trainer.TakesID():", "case !t.trainer.TakesID() && stored.Job.ResourceName != \"\":"}}, rare: 3},
	{name: "cancel by jobdrop", edits: []edit{{"pkg/watcher/watcher.go", "if cancellable {", "if cancellable && false {"}}},
	{name: "records compared with the index", edits: []edit{{"pkg/watcher/scan.go", "if t.filed[attempt].State.Terminal() {\n\t\t\tcontinue", "if true {\n\t\t\tcontinue"}, {"pkg/watcher/scan.go", "return errors.Join(err, t.reopen(ctx, stored.Attempt))", "return err"}}},
	{name: "drops found without their event", edits: []edit{{"pkg/watcher/scan.go", "if err == nil && !known {", "if false && err == nil && !known {"}}},
	{name: "a round that failed is looked at again", edits: []edit{{"pkg/watcher/scan.go", "t.cursors.Inbox.Failed = true", "t.cursors.Inbox.Failed = false"}}},
	{name: "pause", edits: []edit{{"pkg/submitter/queue.go", "if start.Paused {\n\t\t\tq.waits", "if false {\n\t\t\tq.waits"}}},
	{name: "park, then acknowledge", edits: []edit{{"pkg/app/app.go", "a.logger.ErrorContext(ctx, \"event not parked\", append(attributes, \"error\", err.Error())...)\n\t\t\treturn err", "return nil"}}},
	{name: "one owner of a job ID", edits: []edit{{"pkg/submitter/decide.go", "if claimed || err != nil {\n\t\treturn nil, err\n\t}", "if true || claimed || err != nil {\n\t\treturn nil, err\n\t}"}}},
}
