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
	{name: "an ID that was given up is free", edits: []edit{{"pkg/submitter/decide.go", "case free(other.Record):", "case false:"}}},
	{name: "the same drop again is no conflict", edits: []edit{{"pkg/submitter/decide.go", "case sameDrop(other.Record, stored.Record, content):", "case false:"}}},
	{name: "other content of the same ID is a conflict", edits: []edit{{"pkg/submitter/decide.go", "case sameDrop(other.Record, stored.Record, content):", "case other.Drop.Prefix == stored.Drop.Prefix:"}}},
	{name: "a drop expires only after its patience", edits: []edit{{"pkg/job/step.go", "case !now.Before(r.Deadlines.Expires):", "case !now.Before(r.Deadlines.Incomplete):"}}},
	{name: "a part of a list decides nothing", edits: []edit{{"pkg/submitter/submitter.go", "\treturn d, err\n}\n\n// jobFiles gives", "\treturn d, nil\n}\n\n// jobFiles gives"}}},
	{name: "a pinned package is not held", edits: []edit{{"pkg/submitter/decide.go", "held: r.Resolution.Unpinned,", "held: r.Resolution.Packages,"}}},
	{name: "a newer attempt ends the one before", edits: []edit{{"pkg/submitter/decide.go", "\tfor range enters {\n\t\tif note.Supersedes(e.jobFile) {", "\tfor range enters {\n\t\tif false {"}, {"pkg/submitter/decide.go", "\tif note.Supersedes(jobFile) {", "\tif false {"}}},
	{name: "the note is swapped", edits: []edit{{"pkg/submitter/decide.go", "err := s.records.SwapNote(ctx, e.drop.Bucket, e.drop.Folder, next)", "next.Generation = job.AnyGeneration\n\t\terr := s.records.SwapNote(ctx, e.drop.Bucket, e.drop.Folder, next)"}}},

	// Those that a package's test finds.
	{name: "the job of a dead claim is looked for under a pause", edits: []edit{{"pkg/submitter/submitter.go", "if doubtful || stored.Creating != nil {", "if doubtful {"}}, by: test{"pkg/submitter", "^TestQueuePauseFindsTheJobOfADeadClaim$"}},
	{name: "an inspection's slot is given back after a read error", edits: []edit{
		{"pkg/submitter/decide.go", "func (s *Submitter) inspect(ctx context.Context, d job.Drop, p policy.Policy) (inspect.Result, error) {", "func (s *Submitter) inspect(ctx context.Context, d job.Drop, p policy.Policy) (r inspect.Result, err error) {"},
		{"pkg/submitter/decide.go", "defer func() { <-s.inspecting }()", "defer func() {\n\t\t\tif err == nil {\n\t\t\t\t<-s.inspecting\n\t\t\t}\n\t\t}()"},
	}, by: test{"pkg/submitter", "^TestInspectMakesRoomAfterAnError$"}},
	{name: "Vertex AI's Find goes by the instance's label", edits: []edit{{"pkg/trainer/vertex/trainer.go", " || l.Labels[job.LabelInstance] != o.Labels[job.LabelInstance] {", " {"}}, by: test{"pkg/trainer/vertex", "^TestFind$"}},
	{name: "a second look before a cancel", edits: []edit{{"pkg/watcher/watcher.go", "if err != nil || stored.CancelDue(w.Now()) == \"\" {", "if err != nil {"}}, by: test{"pkg/watcher", "^TestTickLooksAgainBeforeACancel$"}},
	{name: "an event is not acknowledged while another attempt is decided", edits: []edit{{"pkg/app/app.go", "append(attributes, \"error\", err.Error())...)\n\t\treturn err\n\t}\n\t// A service", "append(attributes, \"error\", err.Error())...)\n\t\treturn nil\n\t}\n\t// A service"}}, by: test{"pkg/app", "^TestSettle$"}},
	{name: "nothing old runs before the first tick", edits: []edit{{"pkg/submitter/submitter.go", "if errors.Is(err, job.ErrNotFound) && age <= eventAge {", "if false {"}}, by: test{"pkg/submitter", "^TestOldJobFileBeforeTheFirstTick$"}},
	{name: "a denied create wakes the operator", edits: []edit{{"pkg/submitter/submitter.go", "after.Error.Code == denied {", "after.Error.Code == denied && false {"}}, by: test{"pkg/submitter", "^TestSubmitDenied$"}},
	{name: "an ID whose job others made stays taken", edits: []edit{{"pkg/submitter/decide.go", "return r.Error == nil || r.Error.Code != \"ALREADY_EXISTS\"", "return true"}}, by: test{"pkg/submitter", "^TestSubmitJobIDTakenAtTheTrainerStaysTaken$"}},
	{name: "an ID that an undecided attempt has is not taken", edits: []edit{{"pkg/submitter/decide.go", "case other.State.Undecided():\n\t\treturn job.Blocked{JobID: jobID, By: owner.Attempt, Folder: \"gs://\" + other.Drop.Bucket + \"/\" + other.Drop.Prefix, Waits: other.Reason}, nil", "case other.State.Undecided():\n\t\treturn nil, s.records.TakeID(ctx, jobID, owner, own)"}}, by: test{"pkg/submitter", "^TestSubmitJobIDOfAnUndecidedAttempt$"}},
	{name: "incomplete is told once", edits: []edit{{"pkg/job/step.go", "case !now.Before(r.Deadlines.Incomplete) && !r.told(DropIncomplete):", "case !now.Before(r.Deadlines.Incomplete):"}}, by: test{"pkg/submitter", "^TestSubmitIncomplete$"}},
	{name: "incomplete is told", edits: []edit{{"pkg/job/step.go", "case !now.Before(r.Deadlines.Incomplete) && !r.told(DropIncomplete):\n\t\tr.emit(DropIncomplete, now)", "case !now.Before(r.Deadlines.Incomplete) && !r.told(DropIncomplete):\n\t\tr.Told = append(r.Told, DropIncomplete)"}}, by: test{"pkg/job", "^TestStep$"}},
	{name: "lost after three looks", edits: []edit{{"pkg/job/look.go", "lostLooks   = 3", "lostLooks   = 1"}}, by: test{"pkg/job", "^TestAbsence$"}},
	{name: "lost after ten minutes", edits: []edit{{"pkg/job/look.go", "lostAfter   = 10 * time.Minute", "lostAfter   = time.Minute"}}, by: test{"pkg/job", "^TestAbsenceTakesItsTime$"}},
	{name: "lost after looks in three ticks", edits: []edit{{"pkg/job/look.go", "lostSpacing = 40 * time.Second", "lostSpacing = 0 * time.Second"}}, by: test{"pkg/job", "^TestAbsenceTakesItsTime$"}},
	{name: "running is told from the start time alone", edits: []edit{{"pkg/job/look.go", "if !r.Times.Started.IsZero() && !r.told(JobRunning) {", "if false {"}}, by: test{"pkg/job", "^TestStep$"}},
	{name: "a warning comes once", edits: []edit{{"pkg/job/look.go", "r.Warned = append(slices.Clone(r.Warned), once)\n", ""}}, by: test{"pkg/job", "^TestWarningsComeOnce$"}},
	{name: "a job that is stuck is told of", edits: []edit{{"pkg/job/look.go", "if at, lasts := r.stuck(); !at.IsZero() &&", "if at, lasts := r.stuck(); false &&"}}, by: test{"pkg/job", "^TestStuck$"}},
	{name: "a late look is not taken over a newer record", edits: []edit{{"pkg/job/look.go", "if r.Behind(o.Look) && r.late(o.asked) {", "if false {"}}, by: test{"pkg/job", "^TestLateAnswer$"}},
	{name: "a newer revision's record is left alone", edits: []edit{{"pkg/job/step.go", "if r.RecordVersion > RecordVersion {", "if false {"}}, by: test{"pkg/job", "^TestStepRefusesNewerRecords$"}},
	{name: "drops from before the installation are left alone", edits: []edit{{"pkg/submitter/submitter.go", "old := age > eventAge || jobFile.Created.Before(epoch)", "old := age > eventAge || false && jobFile.Created.Before(epoch)"}}, by: test{"pkg/submitter", "^TestOldJobFile$"}},
	{name: "a pin is kept", edits: []edit{{"pkg/job/resolve.go", "if !pin.Matches(p) {", "if false {"}}, by: test{"pkg/job", "^TestResolve$"}},
	{name: "metadata set fields", edits: []edit{{"pkg/submitter/submitter.go", "d.Metadata = metadata[jobFile.Name]", "_ = jobFile"}}, by: test{"pkg/submitter", "^TestSubmitPrecedence$"}},
	{name: "one job file", edits: []edit{{"pkg/inspect/inspect.go", "if len(d.JobFiles) > 1 {", "if false {"}}, by: test{"pkg/inspect", "^TestDrop$"}},
	{name: "the module is looked for", edits: []edit{{"pkg/inspect/inspect.go", "!found.hasModule && !broken", "false && !broken"}}, by: test{"pkg/inspect", "^TestDrop$"}},
	{name: "prefixes take turns", edits: []edit{{"pkg/submitter/queue.go", "cmp.Compare(g.turn, other.turn), cmp.Compare(g.active, other.active), oldest", "oldest"}}, by: test{"pkg/submitter", "^TestQueueFair$"}},
	{name: "people are told of strangers", edits: []edit{{"pkg/watcher/scan.go", "\tids := t.active.unmatched()\n", "\tids := t.active.unmatched()[:0]\n"}}, by: test{"pkg/watcher", "^TestStrangers$"}},
	{name: "people are told of strangers once", edits: []edit{{"pkg/watcher/scan.go", "\t\tif known {\n\t\t\tcontinue\n\t\t}\n", "\t\t_ = known\n"}}, by: test{"pkg/watcher", "^TestStrangerIsToldBeforeItIsNoted$"}},
	{name: "the other trainer's jobs are left alone", edits: []edit{{"pkg/watcher/watcher.go", "if j.Trainer != \"\" && j.Trainer != w.trainer.Name() {", "if false {"}}, by: test{"pkg/watcher", "^TestTickLeavesAnotherTrainersJobs$"}},
	{name: "what was accepted for another trainer is not asked of this one", edits: []edit{{"pkg/submitter/submitter.go", "if stored.State != job.Accepted || stored.Trainer == s.trainer.Name() {", "if true {"}}, by: test{"pkg/submitter", "^TestSubmitOfAnotherTrainer$"}},
}
