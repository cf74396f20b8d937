package main

// mutation is one safeguard less. To add one, add a row: a name that says what is
// missing, its edits, and by, the test that has to go red; without by it is the
// simulator that has to notice, in a thousand seeds.
type mutation struct {
	name  string
	edits []edit
	by    test
}

// edit replaces a text that stands in a file once.
type edit struct{ file, text, by string }

// test names tests of a package, as go test -run does.
type test struct{ pkg, run string }

var mutations = []mutation{
	{name: "compare labels at 409", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, stored.Spec.Labels)",
			"errors.As(err, &conflict)",
		},
	}},
	{name: "compare-and-swap", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"recordName(s.Attempt), data, jsonType, filed(next), s.Generation)",
			"recordName(s.Attempt), data, jsonType, filed(next), attempt.AnyGeneration)",
		},
	}},
	{name: "outbox in the swap", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"data, err := json.Marshal(next)",
			"kept := next\n\t\tkept.Outbox = nil\n\t\tdata, err := json.Marshal(kept)",
		},
	}},
	{name: "events are left to their writer", edits: []edit{
		{"internal/flow/relay/relay.go", "if s.TellingElsewhere(r.now()) {", "if false {"},
	}, by: test{"internal/flow/relay", "^TestTellLeavesEventsToTheirWriter$"}},
	{name: "a hint waits for the events before its own", edits: []edit{
		{"internal/flow/watcher/hint.go", "if stored.TellingElsewhere(w.options.Now()) {", "if false {"},
	}, by: test{"internal/flow/submitter", "^TestEventsArePublishedOnce$"}},
	{name: "what was published since is not published again", edits: []edit{
		{"internal/flow/relay/relay.go", "max(s.Published, present.Published)", "s.Published"},
	}, by: test{"internal/flow/submitter", "^TestTickReadsWhatWasPublishedMeanwhile$"}},
	{name: "outbox order", edits: []edit{
		{
			"internal/flow/relay/relay.go",
			"s.TrimOutbox(s.Published).Outbox); err",
			"reversed(s.TrimOutbox(s.Published).Outbox)); err",
		},
		{
			"internal/flow/relay/relay.go",
			"// writeStatus writes the attempt's",
			"func reversed(events []job.Event) (r []job.Event) {\n\tfor i := range events {\n" +
				"\t\tr = append(r, events[len(events)-1-i])\n\t}\n\treturn r\n}\n\n" +
				"// writeStatus writes the attempt's",
		},
	}},
	{name: "claim", edits: []edit{
		{
			"internal/attempt/step.go",
			"!r.Queued && (r.Creating == nil || !now.Before(r.Creating.Until)) &&\n\t\t!now.Before(r.NextTry)",
			"!r.Queued && !now.Before(r.NextTry)",
		},
	}},
	{name: "fence: a lost claim has no say", edits: []edit{
		{
			"internal/attempt/step.go",
			"func (o Postpone) apply(r *Record, now time.Time) error {\n" +
				"\tif r.State != job.Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {",
			"func (o Postpone) apply(r *Record, now time.Time) error {\n\tif r.State != job.Accepted {",
		},
		{
			"internal/attempt/step.go",
			"func (o Refuse) apply(r *Record, now time.Time) error {\n" +
				"\tif r.State != job.Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {",
			"func (o Refuse) apply(r *Record, now time.Time) error {\n\tif r.State != job.Accepted {",
		},
	}, by: test{"internal/attempt", "^TestStepClaims$"}},
	{name: "fence: no call after the claim", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if stored.Creating.Until.Sub(asked) < 2*s.options.CallTime {",
			"if false {",
		},
		{
			"internal/flow/submitter/submitter.go",
			"context.WithDeadline(ctx, stored.Creating.Until)",
			"context.WithCancel(ctx)",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitLeavesAClaimThatIsNearlyOver$"}},
	{name: "generation pin", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"\terr := s.objects.Copy(ctx, p, s.options.Staging, name)",
			"\tlive := p\n\tlive.Generation = 0\n\terr := s.objects.Copy(ctx, live, s.options.Staging, name)",
		},
	}},
	{name: "settle rule", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"case len(decided) == 0 || !e.drop.Listed.Before(e.until):",
			"case true:",
		},
	}},
	{name: "terminal wins", edits: []edit{
		{
			"internal/attempt/step.go",
			"if r.State.Terminal() {\n\t\treturn r, false, nil\n\t}",
			"",
		},
		{
			"internal/attempt/follow.go",
			"func (o seen) apply(r *Record, now time.Time) error {\n" +
				"\tif r.State != job.Accepted && r.State != job.Submitted {",
			"func (o seen) apply(r *Record, now time.Time) error {\n\tif r.State.Undecided() {",
		},
	}},
	{name: "await of the publish", edits: []edit{
		{
			"internal/flow/relay/relay.go",
			"s.TrimOutbox(s.Published).Outbox); err != nil {\n\t\t\treturn err\n\t\t}",
			"s.TrimOutbox(s.Published).Outbox); err != nil {\n\t\t\t_ = err\n\t\t}",
		},
	}},
	{name: "search after an unknown outcome", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if unknown {\n\t\t\treturn s.findEarlier(ctx, stored, final)\n\t\t}\n\t\t",
			"",
		},
	}},
	{name: "search before the time for submits ends", edits: []edit{
		{"internal/attempt/step.go", "if r.Overdue(now) && r.UnknownUntil.IsZero() {", "if r.Overdue(now) {"},
	}, by: test{"internal/attempt", "^TestSubmitDeadline$"}},
	{name: "no refusal while an earlier create may have its effect", edits: []edit{
		{
			"internal/attempt/step.go",
			"func (r Record) CreateUnderWay(now time.Time) bool { return now.Before(r.UnknownUntil) }",
			"func (r Record) CreateUnderWay(time.Time) bool { return false }",
		},
	}},
	{name: "index before record", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = s.enlist(ctx, d, stored, why)",
			"stored.Replayed = stored.Times.Seen\n\t\t}\n\t\terr = nil",
		},
	}},
	{name: "index entry goes last", edits: []edit{
		{
			"internal/flow/relay/relay.go",
			"if news {\n",
			"if s.State.Terminal() {\n\t\tif err := r.index.Close(ctx, s.Record); err != nil {\n" +
				"\t\t\treturn err\n\t\t}\n\t}\n\tif news {\n",
		},
	}},
	{name: "an attempt is listed by time before its record", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"_, recent = l.place(ctx, recentName(e.Summary()), e.Summary())",
			"recent = nil",
		},
	}},
	{name: "listed by time, too, where only the index entry came through", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"_, err = s.records.Open(ctx, attempt.NewEntry(stored)) // only one",
			"err = nil // only one",
		},
	}},
	{name: "a verdict is listed before its index entry goes", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"if _, err := l.place(ctx, endedName(r.Summary()), r.Summary()); err != nil {",
			"if err := ctx.Err(); err != nil {",
		},
	}},
	{name: "none is listed among the ended before its verdict", edits: []edit{
		{
			"internal/flow/ledger/recent.go",
			"if s.State.Terminal() {\n\t\tnames",
			"if s.State != \"\" {\n\t\tnames",
		},
	}},
	{name: "ticks list what an earlier revision left out", edits: []edit{
		{
			"internal/flow/watcher/compare.go",
			"missing, err := c.records.Place(ctx, f)",
			"missing, err := len(f.Attempt)*0, ctx.Err()",
		},
	}},
	{name: "a tick lists some records at most by time", edits: []edit{
		{"internal/flow/watcher/compare.go", "for i := range min(len(s.lately), mostPlaced) {", "for i := range len(s.lately) {"},
	}, by: test{"internal/flow/watcher", "^TestComparisonPlaces$"}},
	{name: "a tick comes back to records that it has not listed by time", edits: []edit{
		{
			"internal/flow/watcher/compare.go",
			"n > mostPlaced {\n\t\tdid.cursor.Failed = true",
			"n > mostPlaced {\n\t\tdid.cursor.Failed = false",
		},
	}, by: test{"internal/flow/watcher", "^TestComparisonPlaces$"}},
	{name: "a note of the queue that another tick wrote is written anew", edits: []edit{
		{
			"internal/flow/watcher/queue.go",
			"return attempt.QueueNote{Digest: unknownQueue, Generation: generation}, nil",
			"return last, nil",
		},
	}, by: test{"internal/flow/watcher", "^TestTickNotesTheQueue$"}},
	{name: "a page's token is of one query", edits: []edit{
		{"internal/flow/ledger/reader.go", "case at.Query != q.digest():", "case false:"},
	}, by: test{"internal/flow/ledger", "^TestReaderRefuses$"}},
	{name: "a search ends", edits: []edit{
		{
			"internal/flow/ledger/reader.go",
			"for lists := 0; more && lists < MaxScan/listSize && len(p.Attempts) < q.most(); lists++ {",
			"for more && len(p.Attempts) < q.most() {",
		},
	}, by: test{"internal/flow/ledger", "^TestReaderScansLittle$"}},
	{name: "status.json never goes back", edits: []edit{
		{"internal/flow/relay/relay.go", "case there.newer(v):", "case false && there.newer(v):"},
	}},
	{name: "an old record tells nothing", edits: []edit{
		{
			"internal/flow/relay/relay.go",
			"if known.Revision > s.Revision {",
			"if false && known.Revision > s.Revision {",
		},
	}},
	{name: "turn before the create", edits: []edit{
		{
			"internal/flow/submitter/queue.go",
			"err := s.records.GiveTurns(ctx, turns)\n",
			"var err error\n",
		},
	}},
	{name: "the turns are compared before they are swapped", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"return l.write(ctx, turnsName, t, t.Generation)",
			"return l.write(ctx, turnsName, t, attempt.AnyGeneration)",
		},
	}},
	{name: "a turn holds the accelerator hours that its job may take", edits: []edit{
		{
			"internal/flow/submitter/queue.go",
			"turn.Month, turn.Seconds = q.budgets.month, e.Needs",
			"turn.Month, turn.Seconds = q.budgets.month, 0",
		},
	}},
	{name: "a job waits until enough accelerator hours are left", edits: []edit{
		{"internal/flow/submitter/budget.go", "*l, b.until}, needs > left", "*l, b.until}, left < 0"},
	}},
	{name: "accelerator hours come back", edits: []edit{
		{
			"internal/flow/submitter/budget.go",
			"t.Seconds, t.Settled = usedSeconds(stored.Record), s.options.Now().UTC()",
			"t.Settled = s.options.Now().UTC()",
		},
	}},
	{name: "accelerator hours that were used count", edits: []edit{
		{
			"internal/flow/submitter/budget.go",
			"t.Seconds, t.Settled = usedSeconds(stored.Record), s.options.Now().UTC()",
			"t.Seconds, t.Settled = 0, s.options.Now().UTC()",
		},
	}},
	{name: "accelerator hours are held until the verdict", edits: []edit{
		{
			"internal/flow/submitter/budget.go",
			"case !stored.State.Terminal():\n\t\treturn t, false, true, nil",
			"case false:\n\t\treturn t, false, true, nil",
		},
	}, by: test{"internal/flow/submitter", "^TestBudgetOfALostIndexEntry$"}},
	{name: "a turn is given once", edits: []edit{
		{
			"internal/flow/submitter/queue.go",
			"start.Limited() && !q.turnOf[e.Attempt] {",
			"start.Limited() {",
		},
	}, by: test{"internal/flow/submitter", "^TestBudgetCrashAfterReserving$"}},
	{name: "the turns are compared before anybody is refused", edits: []edit{
		{"internal/flow/submitter/queue.go", "len(q.given)+len(q.refused) > 0", "len(q.given) > 0"},
	}, by: test{"internal/flow/submitter", "^TestBudgetRefusesByTheTurnsOfNow$"}},
	{name: "a newer revision's turns are left alone", edits: []edit{
		{"internal/flow/ledger/ledger.go", "if t.Version > attempt.TurnsVersion {", "if false {"},
	}, by: test{"internal/flow/submitter", "^TestTurnsOfANewerRevision$"}},
	{name: "what a job may take is measured once", edits: []edit{
		{"internal/flow/submitter/budget.go", "if stored.AcceleratorSeconds == nil {", "if false {"},
	}, by: test{"internal/flow/submitter", "^TestBudgetOfAnEarlierRevision$"}},
	{name: "a settled turn stays until no process can take its attempt for a waiting one", edits: []edit{
		{"internal/attempt/budget.go", "(!t.Done || t.Settled.After(now.Add(-keptSettled)))", "!t.Done"},
		{"internal/attempt/backlog.go", "return t.After(now.Add(-time.Hour))", "return t.After(now.Add(-time.Minute))"},
	}, by: test{"internal/flow/submitter", "^TestBudgetOfALateIndexWrite$"}},
	{name: "what a turn used that leaves the note is added to its sum", edits: []edit{
		{"internal/flow/submitter/queue.go", "q.budgets.fold(t)\n", ""},
	}, by: test{"internal/flow/submitter", "^TestBudgetSettlesOnce$"}},
	{name: "accelerator hours are settled if nobody waits", edits: []edit{
		{"internal/flow/watcher/tick.go", "passed.visited.all() && backlog.Unsettled()", "false"},
	}, by: test{"internal/flow/submitter", "^TestBudgetSettlesWhileNobodyWaits$"}},
	{name: "each month has its own accelerator hours", edits: []edit{
		{"internal/flow/submitter/budget.go", "if t.Month == b.month {", "if t.Month != \"\" {"},
	}, by: test{"internal/flow/submitter", "^TestBudgetOfTheNextMonth$"}},
	{name: "searches before a create that may be the second", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if o := s.findEarlier(ctx, stored, nil); o != nil {",
			"if o := s.findEarlier(ctx, stored, nil); o != nil && s.backend.TakesID() {",
		},
	}},
	{name: "searches until no create is under way", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"case stored.CreateUnderWay(now), !s.backend",
			"case stored.CreateUnderWay(now) && s.backend.TakesID(), !s.backend",
		},
	}},
	{name: "cancel of a second job", edits: []edit{
		{
			"internal/flow/watcher/doubles.go",
			"switch err := d.backend.Cancel(ctx, j); {",
			"switch err := error(nil); {",
		},
	}, by: test{"internal/flow/watcher", "^TestTickCancelsDoubles$"}},
	{name: "what vanished before its cancel wakes nobody", edits: []edit{
		{"internal/flow/watcher/follow.go", "|| !a.found && errors.Is(refused, job.ErrNotFound) {", "{"},
	}, by: test{"internal/flow/watcher", "^TestTickCancelsWhatVanished$"}},
	{name: "cancel of a second job after the verdict", edits: []edit{
		{
			"internal/flow/watcher/strangers.go",
			"s.doubles.cancel(ctx, now, stored, listed)",
			"s.doubles.cancel(ctx, now, stored, listed[:0])",
		},
	}, by: test{"internal/flow/watcher", "^TestTickCancelsDoubles$"}},
	{name: "cancelRequested before the cancel", edits: []edit{
		{
			"internal/flow/watcher/follow.go",
			"stored, _, err := f.records.Apply(ctx, stored, attempt.CancelJob",
			"_ = f.backend.Cancel(ctx, stored.Job)\n" +
				"\tstored, _, err := f.records.Apply(ctx, stored, attempt.CancelJob",
		},
	}},
	{name: "grace before a cancel", edits: []edit{
		{"internal/attempt/follow.go", "at := l.end().Add(r.Patience.After(l.kind))", "at := l.end()"},
	}},
	{name: "a warning by both clocks", edits: []edit{
		{"internal/attempt/follow.go", "since, late := l.seen, l.begin", "since, late := l.begin, l.begin"},
	}},
	{name: "a list that lags is only a reason to poll", edits: []edit{
		{"internal/flow/watcher/follow.go", " && !stored.Behind(l)", ""},
	}},
	{name: "cancel of a job that was given up", edits: []edit{
		{
			"internal/flow/watcher/strangers.go",
			"case !s.takesID:",
			"case !s.takesID && stored.Job.ResourceName != \"\":",
		},
	}, by: test{"internal/flow/watcher", "^TestTickCancelsDoubles$"}},
	{name: "cancel by jobdrop", edits: []edit{
		{"internal/flow/watcher/follow.go", "if cancellable {", "if cancellable && false {"},
	}},
	{name: "records compared with the index", edits: []edit{
		{
			"internal/flow/watcher/compare.go",
			"if s.filed[key].State.Terminal() {\n\t\t\tcontinue",
			"if true {\n\t\t\tcontinue",
		},
		{
			"internal/flow/watcher/strangers.go",
			"reopened, failed := s.index.reopen(ctx, stored.Attempt)",
			"reopened, failed := false, error(nil)",
		},
	}, by: test{"internal/flow/watcher", "^TestComparison$"}},
	{name: "drops found without their event", edits: []edit{
		{"internal/flow/watcher/inbox.go", "if err != nil || known {", "if err != nil || known || true {"},
	}},
	{name: "a round that failed is looked at again", edits: []edit{
		{"internal/flow/watcher/inbox.go", "did.cursor.Failed = true", "did.cursor.Failed = false"},
	}, by: test{"internal/flow/watcher", "^TestScanInboxTriesAgain$"}},
	{name: "pause", edits: []edit{
		{
			"internal/flow/submitter/queue.go",
			"if start.Paused {\n\t\t\tq.waits",
			"if false {\n\t\t\tq.waits",
		},
	}, by: test{"internal/flow/submitter", "^TestQueuePause$"}},
	{name: "one reading of the clock before a create", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if stored.Creating.Until.Sub(asked) < 2*s.options.CallTime {",
			"if stored.Creating.Until.Sub(now) < 2*s.options.CallTime {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitFreezesBeforeACreate$"}},
	{name: "park, then acknowledge", edits: []edit{
		{
			"internal/app/handle.go",
			"logger.ErrorContext(ctx, \"event not parked\", \"error\", err.Error())\n\t\t\treturn err",
			"return nil",
		},
	}},
	{name: "one owner of a job ID", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if claimed || err != nil {\n\t\treturn nil, err\n\t}",
			"if true || claimed || err != nil {\n\t\treturn nil, err\n\t}",
		},
	}},
	{name: "an ID that was given up is free", edits: []edit{
		{"internal/flow/submitter/decide.go", "case free(other.Record):", "case false:"},
	}},
	{name: "the same drop again is no conflict", edits: []edit{
		{"internal/flow/submitter/decide.go", "case sameDrop(other.Record, stored.Record, content):", "case false:"},
	}},
	{name: "other content of the same ID is a conflict", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"case sameDrop(other.Record, stored.Record, content):",
			"case other.Drop.Prefix == stored.Drop.Prefix:",
		},
	}},
	{name: "a drop expires only after its patience", edits: []edit{
		{
			"internal/attempt/step.go",
			"case !now.Before(r.Deadlines.Expires):",
			"case !now.Before(r.Deadlines.Incomplete):",
		},
	}},
	{name: "a part of a list decides nothing", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"\treturn d, err\n}\n\n// jobFiles returns",
			"\treturn d, nil\n}\n\n// jobFiles gives",
		},
	}},
	{name: "who waits is told of packages of before", edits: []edit{
		{"internal/flow/submitter/decide.go", "Before: before, ", ""},
	}, by: test{"internal/flow/submitter", "^TestSubmitWaitTellsOfPackagesOfBefore$"}},
	{name: "a pinned package is not held", edits: []edit{
		{"internal/flow/submitter/decide.go", "held: r.Resolution.Unpinned,", "held: r.Resolution.Packages,"},
	}},
	{name: "a newer attempt ends the one before", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"\tfor range enters {\n\t\tif note.Supersedes(e.jobFile) {",
			"\tfor range enters {\n\t\tif false {",
		},
		{"internal/flow/submitter/decide.go", "\tif note.Supersedes(jobFile) {", "\tif false {"},
	}},
	{name: "the note is swapped", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"err := s.records.SwapFolderNote(ctx, e.drop.Bucket, e.drop.Folder, next)",
			"next.Generation = attempt.AnyGeneration\n" +
				"\t\terr := s.records.SwapFolderNote(ctx, e.drop.Bucket, e.drop.Folder, next)",
		},
	}},

	// Those that a package's test finds.
	{name: "the job of a dead claim is searched for under a pause", edits: []edit{
		{"internal/flow/submitter/submitter.go", "if unknown || stored.Creating != nil {", "if unknown {"},
	}, by: test{"internal/flow/submitter", "^TestQueuePauseFindsTheJobOfADeadClaim$"}},
	{name: "an inspection's slot is given back after a read error", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"d job.Drop, from inspect.Objects, p policy.Policy) (inspect.Result, error) {",
			"d job.Drop, from inspect.Objects, p policy.Policy) (r inspect.Result, err error) {",
		},
		{
			"internal/flow/submitter/decide.go",
			"defer func() { <-s.inspecting }()",
			"defer func() {\n\t\t\tif err == nil {\n\t\t\t\t<-s.inspecting\n\t\t\t}\n\t\t}()",
		},
	}, by: test{"internal/flow/submitter", "^TestInspectMakesRoomAfterAnError$"}},
	{name: "Vertex AI's Find goes by the instance's label", edits: []edit{
		{
			"internal/backend/vertex/backend.go",
			" ||\n\t\t\t\t\tl.Labels[job.LabelInstance] != o.Labels[job.LabelInstance] {",
			" {",
		},
	}, by: test{"internal/backend/vertex", "^TestFind$"}},
	{name: "a second poll before a cancel", edits: []edit{
		{"internal/flow/watcher/follow.go", "if err != nil || stored.CancelDue(f.now()) == \"\" {", "if err != nil {"},
	}, by: test{"internal/flow/watcher", "^TestTickPollsAgainBeforeACancel$"}},
	{name: "what is staged is what was checked", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if !isContent(staged, p) {",
			"if false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitStagesWhatWasChecked$"}},
	{name: "an object that can't be read holds nobody up", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if errors.Is(err, job.ErrDenied) || errors.Is(err, job.ErrRefused) {",
			"if false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitUnreadableObject$"}},
	{name: "what is staged already is compared with what was checked", edits: []edit{
		{"internal/flow/submitter/decide.go", "err == nil && isContent(there.Object, p) {", "err == nil && there.Size > 0 {"},
	}, by: test{"internal/flow/submitter", "^TestSubmitStagesPackedPackagesOnce$"}},
	{name: "a drop whose checks are cut off waits", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if _, is := errors.AsType[*slowError](err); is {",
			"if _, is := errors.AsType[*slowError](err); is && false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitSlowCheckEnds$"}},
	{name: "a check that was cut off is made again after a pause", edits: []edit{
		{"internal/flow/submitter/decide.go", "s.options.Now().Before(again) && ", "false && "},
	}, by: test{"internal/flow/submitter", "^TestSubmitSlowCheckEnds$"}},
	{name: "a drop that waits for the checks of others is not slow", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"return inspect.Result{}, attempt.ErrBusy",
			"return inspect.Result{}, inTime(ctx, attempt.ErrBusy)",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitWaitsForTheChecksOfOthers$"}},
	{name: "a right on the staging bucket is not asked of the uploader", edits: []edit{
		{"internal/flow/submitter/decide.go", "\tif unread == nil {\n", "\tif unread == nil && false {\n"},
		{
			"internal/flow/submitter/decide.go",
			"AsType[*unreadableError](unread); is {\n\t\treturn unread\n\t}\n\treturn err\n",
			"AsType[*unreadableError](unread); is {\n\t\treturn unread\n\t}\n\treturn ofObject(p, err)\n",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitDeniedCopy$"}},
	{name: "an event is not acknowledged while another attempt is decided", edits: []edit{
		{
			"internal/app/handle.go",
			"logger.WarnContext(ctx, failed, \"error\", err.Error())\n\t\treturn err",
			"logger.WarnContext(ctx, failed, \"error\", err.Error())\n\t\treturn nil",
		},
	}, by: test{"internal/app", "^TestSettle$"}},
	{name: "nothing old runs before the first tick", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if errors.Is(err, job.ErrNotFound) && age <= eventAge {",
			"if false {",
		},
	}, by: test{"internal/flow/submitter", "^TestOldJobFileBeforeTheFirstTick$"}},
	{name: "a denied create wakes the operator", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"after.Error.Code == denied {",
			"after.Error.Code == denied && false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitDenied$"}},
	{name: "an ID whose job others made stays taken", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"return r.Error == nil || r.Error.Code != \"ALREADY_EXISTS\"",
			"return true",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitJobIDTakenAtTheBackendStaysTaken$"}},
	{name: "an ID that an undecided attempt has is not taken", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"case other.State.Undecided():\n",
			"case other.State.Undecided():\n\t\treturn nil, s.records.TakeID(ctx, jobID, owner, own)\n",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitJobIDOfAnUndecidedAttempt$"}},
	{name: "who has an ID is told in its folder only", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"!strings.HasPrefix(other, folder+\"-\") {",
			"!strings.HasPrefix(other, folder+\"-\") && false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitJobIDTaken$"}},
	{name: "a request beats a limit by a clock that is behind", edits: []edit{
		{
			"internal/attempt/follow.go",
			"own.After(at) && !own.After(t.Add(clocksDiffer)) {",
			"own.After(at) && !own.After(t) {",
		},
	}, by: test{"internal/attempt", "^TestCancelRequestByOtherClocks$"}},
	{name: "incomplete is told once", edits: []edit{
		{
			"internal/attempt/step.go",
			"case !now.Before(r.Deadlines.Incomplete) && !r.told(job.DropIncomplete):",
			"case !now.Before(r.Deadlines.Incomplete):",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitIncomplete$"}},
	{name: "incomplete is told", edits: []edit{
		{
			"internal/attempt/step.go",
			"case !now.Before(r.Deadlines.Incomplete) && !r.told(job.DropIncomplete):\n" +
				"\t\tr.emit(job.DropIncomplete, now)",
			"case !now.Before(r.Deadlines.Incomplete) && !r.told(job.DropIncomplete):\n" +
				"\t\tr.Told = append(r.Told, job.DropIncomplete)",
		},
	}, by: test{"internal/attempt", "^TestStep$"}},
	{name: "lost after three polls", edits: []edit{
		{"internal/attempt/follow.go", "lostMisses  = 3", "lostMisses  = 1"},
	}, by: test{"internal/attempt", "^TestAbsence$"}},
	{name: "lost after ten minutes", edits: []edit{
		{"internal/attempt/follow.go", "lostAfter   = 10 * time.Minute", "lostAfter   = time.Minute"},
	}, by: test{"internal/attempt", "^TestAbsenceTakesItsTime$"}},
	{name: "lost after polls in three ticks", edits: []edit{
		{"internal/attempt/follow.go", "lostSpacing = 40 * time.Second", "lostSpacing = 0 * time.Second"},
	}, by: test{"internal/attempt", "^TestAbsenceTakesItsTime$"}},
	{name: "running is told from the start time alone", edits: []edit{
		{"internal/attempt/follow.go", "if !r.Times.Started.IsZero() && !r.told(job.JobRunning) {", "if false {"},
	}, by: test{"internal/attempt", "^TestStep$"}},
	{name: "a warning comes once", edits: []edit{
		{
			"internal/attempt/follow.go",
			"r.Warned = append(slices.Clone(r.Warned), once)\n",
			"",
		},
	}, by: test{"internal/attempt", "^TestWarningsComeOnce$"}},
	{name: "a job that is stuck is told of", edits: []edit{
		{
			"internal/attempt/follow.go",
			"if at, lasts := r.stuck(); !at.IsZero() &&",
			"if at, lasts := r.stuck(); false &&",
		},
	}, by: test{"internal/attempt", "^TestStuck$"}},
	{name: "a restart that is seen twice counts once", edits: []edit{
		{"internal/attempt/follow.go", "if was == job.BackendRunning {", "if !r.Times.Started.IsZero() {"},
	}},
	{name: "a job that was run again too often is cancelled", edits: []edit{
		{"internal/attempt/follow.go", "if r.Restarts.Over() && r.State == job.Submitted", "if false && r.State == job.Submitted"},
	}},
	{name: "a late answer is not taken over a newer record", edits: []edit{
		{"internal/attempt/follow.go", "if r.Behind(o.BackendJob) && r.late(o.asked) {", "if false {"},
	}, by: test{"internal/attempt", "^TestLateAnswer$"}},
	{name: "a newer revision's record is left alone", edits: []edit{
		{"internal/attempt/step.go", "if r.RecordVersion > RecordVersion {", "if false {"},
	}, by: test{"internal/attempt", "^TestStepRefusesNewerRecords$"}},
	{name: "drops from before the installation are left alone", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"old := age > eventAge || jobFile.Created.Before(epoch)",
			"old := age > eventAge || false && jobFile.Created.Before(epoch)",
		},
	}, by: test{"internal/flow/submitter", "^TestOldJobFile$"}},
	{name: "a pin is kept", edits: []edit{
		{"pkg/job/resolve.go", "if !pin.Matches(p) {", "if false {"},
	}, by: test{"pkg/job", "^TestResolve$"}},
	{name: "metadata set fields", edits: []edit{
		{"internal/flow/submitter/submitter.go", "d.Metadata = metadata[jobFile.Name]", "_ = jobFile"},
	}, by: test{"internal/flow/submitter", "^TestSubmitPrecedence$"}},
	{name: "one job file", edits: []edit{
		{"internal/check/inspect/inspect.go", "if len(d.JobFiles) > 1 {", "if false {"},
	}, by: test{"internal/check/inspect", "^TestDrop$"}},
	{name: "the module is looked for", edits: []edit{
		{"internal/check/inspect/inspect.go", "!found.hasModule && !broken", "false && !broken"},
	}, by: test{"internal/check/inspect", "^TestDrop$"}},
	{name: "prefixes take turns", edits: []edit{
		{
			"internal/flow/submitter/queue.go",
			"cmp.Compare(g.turn, other.turn), cmp.Compare(g.active, other.active), oldest",
			"oldest",
		},
	}, by: test{"internal/flow/submitter", "^TestQueueFair$"}},
	{name: "a turn of hours ago keeps its place while others wait", edits: []edit{
		{"internal/flow/submitter/queue.go", "|| !t.At.After(since) ||", "|| true ||"},
	}, by: test{"internal/flow/submitter", "^TestQueueFairForHours$"}},
	{name: "turns that keep a place take little of the note", edits: []edit{
		{"internal/flow/submitter/queue.go", "|| q.size+t.Size() > mostPast {", "{"},
	}, by: test{"internal/flow/submitter", "^TestTurnsAreForgotten$"}},
	{name: "people are told of strangers", edits: []edit{
		{
			"internal/flow/watcher/strangers.go",
			"\tids := listed.unmatched()\n",
			"\tids := listed.unmatched()[:0]\n",
		},
	}, by: test{"internal/flow/watcher", "^TestStrangers$"}},
	{name: "people are told of strangers once", edits: []edit{
		{
			"internal/flow/watcher/strangers.go",
			"\t\tif known {\n\t\t\tcontinue\n\t\t}\n",
			"\t\t_ = known\n",
		},
	}, by: test{"internal/flow/watcher", "^TestStrangerIsToldBeforeItIsNoted$"}},
	{name: "the other backend's jobs are left alone", edits: []edit{
		{"internal/flow/watcher/jobs.go", "if j.Backend != \"\" && j.Backend != js.backend.Name() {", "if false {"},
	}, by: test{"internal/flow/watcher", "^TestTickLeavesAnotherBackendsJobs$"}},
	{name: "what was accepted for another backend is not asked of this one", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if stored.State != job.Accepted || stored.Backend == s.backend.Name() {",
			"if true {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitOfAnotherBackend$"}},
	{name: "a person's copy is not ended", edits: []edit{
		{"internal/flow/watcher/doubles.go", "if !stored.Made(a.job) {", "if false {"},
	}, by: test{"internal/flow/watcher", "^TestTickKeepsCopies$"}},
	{name: "a copy is known by its name", edits: []edit{
		{"internal/attempt/step.go", "|| j.JobID != r.Spec.JobID", ""},
	}, by: test{"internal/flow/watcher", "^TestTickKeepsCopies$"}},
	{name: "a copy is known by its packages", edits: []edit{
		{"internal/attempt/step.go", "!slices.Equal(j.Packages, r.Drop.Receipt.Staged) || ", ""},
	}, by: test{"internal/flow/watcher", "^TestTickKeepsCopies$"}},
	{name: "a copy is known by its time: before the first claim", edits: []edit{
		{"internal/attempt/step.go", "return !j.Created.Before(first.Add(-clocksDiffer)) &&", "return"},
	}, by: test{"internal/attempt", "^TestMade$"}},
	{name: "a copy is known by its time: after the last claim", edits: []edit{
		{"internal/attempt/step.go", "last.Add(stalled+clocksDiffer)", "last.Add(1000*stalled)"},
	}, by: test{"internal/attempt", "^TestMade$"}},
	{name: "pages of a folder's list count", edits: []edit{
		{"internal/flow/submitter/submitter.go", "pages > inspect.PageLimit", "pages < 0"},
	}, by: test{"internal/flow/submitter", "^TestSubmitCrowdedFolder$"}},
	{name: "a lone package is no reason for a long list", edits: []edit{
		{
			"internal/flow/watcher/lonely.go",
			"found = len(page) > 0 && page[0].Name == folder+name\n\t\t\treturn errEnough",
			"found = found || len(page) > 0 && page[0].Name == folder+name\n\t\t\treturn nil",
		},
	}, by: test{"internal/flow/watcher", "^TestAloneListsLittle$"}},
	{name: "a hint's number is looked up", edits: []edit{
		{"internal/flow/watcher/hint.go", "if !w.backend.TakesID() {", "if false {"},
	}},
	{name: "a backend's name of a job is noted", edits: []edit{
		{"internal/flow/ledger/ledger.go", "|| name == after.Job.ID {", "|| true {"},
	}, by: test{"internal/flow/ledger", "^TestNamed$"}},
	{name: "a rerun that another made is not refused", edits: []edit{
		{
			"internal/flow/watcher/requests.go",
			"r.Kind == attempt.KindRerun && answer.Outcome == attempt.RequestRefused {", "false {",
		},
	}, by: test{"internal/flow/watcher", "^TestRerunThatAnotherMade$"}},
	{name: "a rerun that is cancelled is indexed first", edits: []edit{
		{"internal/flow/watcher/requests.go", "if errors.Is(err, job.ErrNotFound) && !stored.State.Terminal() {", "if false {"},
	}, by: test{"internal/flow/watcher", "^TestCancelOfWhatIsNotIndexed$"}},
	{name: "hints cost ticks little", edits: []edit{
		{"internal/flow/watcher/hint.go", "if !w.hints.Allow() {", "if false {"},
	}, by: test{"internal/flow/watcher", "^TestRefreshIsLimited$"}},
	{name: "what no record names is asked for in the installation's regions", edits: []edit{
		{"internal/backend/vertex/backend.go", "j.Backend != Name && !slices", "false && !slices"},
	}, by: test{"internal/backend/vertex", "^TestGetAsksKnownRegions$"}},
	{name: "clients of regions are bounded", edits: []edit{
		{"internal/backend/vertex/backend.go", "if len(former) >= mostFormer", "if false"},
	}, by: test{"internal/backend/vertex", "^TestClientsAreBounded$"}},
	{name: "the mirror's images are nobody's", edits: []edit{
		{
			"internal/image/image.go",
			"case \"gcr.io\", \"us.gcr.io\"",
			"case \"gcr.io\", \"mirror.gcr.io\", \"us.gcr.io\"",
		},
	}, by: test{"internal/check/policy", "^TestImages$"}},
	{name: "a pattern does not mean the mirror", edits: []edit{
		{"internal/check/policy/judge.go", "|| mirrored(g, value)) {", ") {"},
	}, by: test{"internal/check/policy", "^TestListsAreNotEvaded$"}},
	{name: "names of images have their grammar", edits: []edit{
		{
			"pkg/jobspec/check.go",
			"\t{\"image-format\", imageFormat},\n",
			"",
		},
	}, by: test{"pkg/jobspec", "^TestCheck$"}},
	{name: "control characters are refused", edits: []edit{
		{
			"pkg/jobspec/check.go",
			"\t{\"control-character\", controlCharacter},\n",
			"",
		},
	}, by: test{"pkg/jobspec", "^TestCheck$"}},
	{name: "a hard link leads to what came before", edits: []edit{
		{
			"internal/check/pypkg/places.go",
			"case h.Typeflag == tar.TypeLink && !in.earlier(t, h.Linkname):",
			"case false:",
		},
	}, by: test{"internal/check/pypkg", "^TestInspectPlaces$"}},
	{name: "nothing lies below a file", edits: []edit{
		{"internal/check/pypkg/places.go", "case !ok:", "case !ok && false:"},
	}, by: test{"internal/check/pypkg", "^TestInspectPlaces$"}},
	{name: "hidden characters are shown", edits: []edit{
		{"internal/text/printable.go", "case Invisible(r):", "case false:"},
	}, by: test{"internal/text", "^TestPrintable$"}},
	{name: "errors are shown so, too", edits: []edit{
		{"internal/cli/cli.go", "text.Printable(code.err.Error())", "code.err.Error()"},
	}, by: test{"internal/cli", "^TestNothingHidesInTheOutput$"}},
	{name: "the functions know their visitors", edits: []edit{
		{
			"internal/local/functions/functions.go",
			"loopback.Guard(hosts, proxy)",
			"loopback.Guard(append(hosts, \"evil.example\"), proxy)",
		},
	}, by: test{"internal/local/functions", "^TestFront$"}},
	{name: "the functions do not wait for headers", edits: []edit{
		{"internal/local/functions/functions.go", "ReadHeaderTimeout: headerTimeout,", "ReadHeaderTimeout: 0,"},
	}, by: test{"internal/local/functions", "^TestFront$"}},
	{name: "nodes without text count", edits: []edit{
		{
			"pkg/jobspec/decode.go",
			"if d.left -= 1 + text/textShare; d.left >= 0 {",
			"if d.left -= text/textShare; d.left >= 0 {",
		},
	}, by: test{"pkg/jobspec", "^FuzzMemory$"}},
	{name: "a mapping does not merge itself", edits: []edit{
		{"pkg/jobspec/decode.go", "case slices.Contains(into, source):", "case false:"},
	}, by: test{"pkg/jobspec", "^TestParseRefuses$"}},
	{name: "merges have a depth", edits: []edit{
		{"pkg/jobspec/decode.go", "case len(into) > maxMerges:", "case false:"},
	}, by: test{"pkg/jobspec", "^TestParseRefuses$"}},
	{name: "the walk ends with its context", edits: []edit{
		{"pkg/jobspec/decode.go", "if d.left >= 0 && d.ctx.Err() != nil {", "if false {"},
	}, by: test{"pkg/jobspec", "^TestNothingGoesOnWithoutItsContext$"}},
	{name: "the parser ends with its context", edits: []edit{
		{
			"pkg/jobspec/syntax.go",
			"\tif err := s.ctx.Err(); err != nil {\n\t\treturn 0, err\n\t}\n\treturn s.data.Read(p)",
			"\treturn s.data.Read(p)",
		},
	}, by: test{"pkg/jobspec", "^TestNothingGoesOnWithoutItsContext$"}},
	{name: "tokens count before the parser", edits: []edit{
		{"pkg/jobspec/syntax.go", "if n > maxMarks {", "if false {"},
	}, by: test{"pkg/jobspec", "^TestParseRefuses$"}},
	{name: "a parse that was cut off says so", edits: []edit{
		{
			"pkg/jobspec/jobspec.go",
			"if err := ctx.Err(); err != nil { // what",
			"if err := ctx.Err(); err != nil && false { // what",
		},
	}, by: test{"pkg/jobspec", "^TestParseContext$"}},
	{name: "metadata share a budget", edits: []edit{
		{"pkg/jobspec/metadata.go", "\t*left = d.left", "\t_ = d.left"},
	}, by: test{"pkg/jobspec", "^TestMetadataSharesABudget$"}},
	{name: "waits for storage are no work", edits: []edit{
		{
			"internal/check/inspect/worktime.go",
			"defer c.work.waiting()()\n\treturn c.ReadCloser.Read(p)",
			"return c.ReadCloser.Read(p)",
		},
	}, by: test{"internal/check/inspect", "^TestWorkTime$"}},
	{name: "too much work is a verdict", edits: []edit{
		{
			"internal/check/inspect/inspect.go",
			"if err != nil && errors.Is(context.Cause(ctx), errWorkTime) {",
			"if false {",
		},
	}, by: test{"internal/check/inspect", "^TestWorkTime$"}},
	{name: "an inspection ends with its context", edits: []edit{
		{"internal/check/pypkg/pypkg.go", "\t\ts.err = s.ctx.Err()", "\t\t_ = s.ctx"},
	}, by: test{"internal/check/pypkg", "^TestInspectEndsWithItsContext$"}},
	{name: "headers of an archive count", edits: []edit{
		{"internal/check/pypkg/sdist.go", "headers > in.limits.headers() {", "headers < 0 {"},
	}, by: test{"internal/check/pypkg", "^TestInspectHeaders$"}},
	{name: "patterns of setup.py are bounded", edits: []edit{
		{"internal/check/pypkg/setup.go", "if p.left -= len(pattern) + len(pkg); p.left < 0 {", "if false {"},
	}, by: test{"internal/check/pypkg", "^TestPatternsAreBounded$"}},
	{name: "odd metadata do not break an answer", edits: []edit{
		{
			"internal/local/storage/download.go",
			"httpguts.ValidHeaderFieldName(k) && httpguts.ValidHeaderFieldValue(v)",
			"httpguts.ValidHeaderFieldName(k)",
		},
	}, by: test{"internal/local/storage", "^TestReadersOfOddMetadata$"}},
	{name: "a package of another attempt counts", edits: []edit{
		{
			"internal/attempt/foldernote.go",
			"p.Generation == d.Generation && d.By != jobFile.Generation",
			"p.Generation == d.Generation && d.By == jobFile.Generation",
		},
	}, by: test{"internal/attempt", "^TestFolderNote$"}},
	{name: "an attempt's own entry does not hold it", edits: []edit{
		{
			"internal/attempt/foldernote.go",
			"p.Generation == d.Generation && d.By != jobFile.Generation",
			"p.Generation == d.Generation",
		},
	}, by: test{"internal/attempt", "^TestFolderNote$"}},
	{name: "an older generation is no new one", edits: []edit{
		{"internal/attempt/foldernote.go", "p.Generation < d.Generation || ", ""},
	}, by: test{"internal/attempt", "^TestFolderNote$"}},
	{name: "names that left the folder are forgotten", edits: []edit{
		{
			"internal/attempt/foldernote.go",
			"if listed[key] || d.TooMany != \"\" || known.By == jobFile.Generation {",
			"if true {",
		},
	}, by: test{"internal/attempt", "^TestFolderNote$"}},
	{name: "a rejection enters what it saw", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"e.packages = d.Packages\n",
			"_ = d.Packages\n",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitUsedTwice$"}},
	{name: "a fault of the job file is told at once", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if r.Final {\n",
			"if false {\n",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitUsedTwice$"}},
	{name: "every other verdict waits for the hold", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if r.Final {\n",
			"if job.HasErrors(r.Violations) {\n",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitUsedTwice$"}},
	{name: "others being faster hides nothing", edits: []edit{
		{
			"internal/attempt/errors.go",
			"\t\t\tif !only(part, classes...) {\n\t\t\t\treturn false\n\t\t\t}\n",
			"\t\t\tif only(part, classes...) {\n\t\t\t\treturn true\n\t\t\t}\n",
		},
	}, by: test{"internal/app", "^TestSettle$"}},
	{name: "a late answer is no absence", edits: []edit{
		{"internal/attempt/follow.go", "if r.State != job.Submitted || r.late(o.asked) {", "if r.State != job.Submitted {"},
	}, by: test{"internal/attempt", "^TestLateAnswer$"}},
	{name: "gcs: a write's condition", edits: []edit{
		{"internal/service/gcs/gcs.go", "call = call.IfGenerationMatch(ifGeneration)", "call = call.Context(ctx)"},
	}, by: test{"internal/service/gcs", "^TestWriteIsConditional$"}},
	{name: "gcs: a read's generation", edits: []edit{
		{"internal/service/gcs/gcs.go", "call = call.Generation(generation)", "call = call.Context(ctx)"},
	}, by: test{"internal/service/gcs", "^TestGenerations$"}},
	{name: "gcs: a copy's generation", edits: []edit{
		{"internal/service/gcs/gcs.go", "SourceGeneration(source.Generation).", ""},
	}, by: test{"internal/service/gcs", "^TestGenerations$"}},
	{name: "gcs: the pages of a list", edits: []edit{
		{
			"internal/service/gcs/gcs.go",
			"if token = result.NextPageToken; token == \"\" {",
			"if token = result.NextPageToken; true {",
		},
	}, by: test{"internal/service/gcs", "^TestListPages$"}},
	{name: "gcs: a copy that takes several calls", edits: []edit{
		{
			"internal/service/gcs/gcs.go",
			"if token = r.RewriteToken; r.Done || token == \"\" {",
			"if token = r.RewriteToken; true {",
		},
	}, by: test{"internal/service/gcs", "^TestCopyGoesOn$"}},
	{name: "gcs: 412 is another's write", edits: []edit{
		{"internal/service/gcs/gcs.go", "return fmt.Errorf(\"%w: %w\", attempt.ErrStale, err)", "return err"},
	}, by: test{"internal/service/gcs", "^TestErrorClasses$"}},
	{name: "gcs: 429 is a quota", edits: []edit{
		{"internal/service/gcs/gcs.go", "return fmt.Errorf(\"%w: %w\", job.ErrQuota, err)", "return err"},
	}, by: test{"internal/service/gcs", "^TestErrorClasses$"}},
	{name: "gcs: metadata in a list", edits: []edit{
		{"internal/service/gcs/gcs.go", "contentEncoding,metadata)", "contentEncoding)"},
	}},
	{name: "gcs: a call has an end", edits: []edit{
		{
			"internal/service/gcs/retry.go",
			"(T, error)) (T, error) {\n\tctx, cancel := context.WithTimeout(ctx, callTimeout)",
			"(T, error)) (T, error) {\n\tctx, cancel := context.WithCancel(ctx)",
		},
	}, by: test{"internal/service/gcs", "^TestCallsHaveADeadline$"}},
	{name: "publisher: the ordering key", edits: []edit{
		{"internal/service/pubsub/publisher.go", ", OrderingKey: attempt}", "}"},
	}},
	{name: "publisher: await of the publish", edits: []edit{
		{
			"internal/service/pubsub/publisher.go",
			"if err := p.publish(ctx, request); err != nil {",
			"go func() { _ = p.publish(context.WithoutCancel(ctx), request) }()\n" +
				"\tif err := ctx.Err(); err != nil {",
		},
	}, by: test{"internal/service/pubsub", "^TestPublishErrors$"}},
	{name: "429 is no refusal", edits: []edit{
		{
			"internal/backend/internal/rest/rest.go",
			"return fmt.Errorf(\"%w: %w\", job.ErrQuota, err)",
			"return &attempt.RefusedError{Code: \"RESOURCE_EXHAUSTED\", Message: message(api)}",
		},
	}, by: test{"internal/backend/aiplatform", "^TestCreateErrors$"}},
	{name: "5xx is no refusal", edits: []edit{
		{
			"internal/backend/internal/rest/rest.go",
			"\treturn err\n}\n\n// message returns",
			"\tif api.Code >= 500 {\n" +
				"\t\treturn &attempt.RefusedError{Code: \"UNAVAILABLE\", Message: message(api)}\n\t}\n\treturn err\n" +
				"}\n\n// message returns",
		},
	}, by: test{"internal/testing/contract", "^TestBackends$"}},
	{name: "ml/v1: whose job a 409 is about", edits: []edit{
		{
			"internal/backend/aiplatform/backend.go",
			"return attempt.BackendJob{}, &attempt.ConflictError{JobID: spec.JobID, Found: found}",
			"found.Labels = spec.Labels\n" +
				"\t\treturn attempt.BackendJob{}, &attempt.ConflictError{JobID: spec.JobID, Found: found}",
		},
	}, by: test{"internal/backend/aiplatform", "^TestCreateWhatIsThere$"}},
	{name: "ml/v1: a repeated create has no class", edits: []edit{
		{"internal/backend/aiplatform/backend.go", "if err != nil && tries > 1 {", "if false {"},
	}, by: test{"internal/testing/contract", "^TestBackends$"}},
	{name: "Vertex AI: Find compares the attempt", edits: []edit{
		{
			"internal/backend/vertex/backend.go",
			"labelled(job.LabelAttempt, o.Labels[job.LabelAttempt])",
			"labelled(job.LabelInstance, o.Labels[job.LabelInstance])",
		},
		{
			"internal/backend/vertex/backend.go",
			"if l.Labels[job.LabelAttempt] != o.Labels[job.LabelAttempt] ||\n\t\t\t\t\tl.Labels",
			"if l.Labels",
		},
	}, by: test{"internal/backend/vertex", "^TestFind$"}},
	{name: "Vertex AI: a create is not repeated", edits: []edit{
		{
			"internal/backend/vertex/backend.go",
			"made, err := r.create(ctx, request)",
			"made, err := invoke(ctx, r.reads, func(ctx context.Context) (*found, error) { return " +
				"r.create(ctx, request) })",
		},
	}, by: test{"internal/testing/contract", "^TestBackends$"}},
	{name: "nothing is published of nothing", edits: []edit{
		{"internal/flow/relay/relay.go", "if len(events) == 0 {", "if false {"},
	}, by: test{"internal/flow/relay", "^TestTellOfNothingLeft$"}},
	{name: "what is too large goes in several requests", edits: []edit{
		{"internal/service/pubsub/publisher.go", "size+more > maxRequest || ", ""},
	}, by: test{"internal/service/pubsub", "^TestPublishInSeveralRequests$"}},
	{name: "violations are bounded", edits: []edit{
		{
			"pkg/job/bounds.go",
			"if fitting(bounded, MaxViolations, violationsBytes, Violation.size) == len(vs) {",
			"if true {",
		},
	}, by: test{"internal/attempt", "^TestLargestRecordAndEvent$"}},
	{name: "packages have no correlation ID", edits: []edit{
		{
			"pkg/job/bounds.go",
			"\t\tobjects[i].CorrelationID = \"\"\n",
			"\t\t_ = i\n",
		},
	}, by: test{"internal/attempt", "^TestLargestRecordAndEvent$"}},
	{name: "a job that can't be recorded is refused", edits: []edit{
		{
			"internal/attempt/bounds.go",
			"return job.Larger(maxAccepted, o.Spec, o.Mapping, o.Receipt) || " +
				"job.Larger(job.MaxLabels, o.Spec.Labels)",
			"return false",
		},
	}, by: test{"internal/attempt", "^TestTooLargeToAccept$"}},
	{name: "an ID that two take over is one's", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"for range enters {\n\t\t// If another attempt takes",
			"for range 1 {\n\t\t// If another attempt takes",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitJobIDGivenUpAndTakenByTwo$"}},
	{name: "a list that is older than the note is made again", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if note.Generation != outdated && note.Outdates(d.Packages) {",
			"if false {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitByAListThatIsLate$"}},
	{name: "what another worker saw stays in the note", edits: []edit{
		{"internal/attempt/foldernote.go", " || known.By == jobFile.Generation {", " {"},
	}, by: test{"internal/attempt", "^TestFolderNoteOfTwoWorkers$"}},
	{name: "an earlier note is about all packages", edits: []edit{
		{"internal/attempt/foldernote.go", "if n.Packages == nil && n.Newest", "if false && n.Newest"},
	}, by: test{"internal/attempt", "^TestFolderNoteOfAnEarlierRevision$"}},
	{name: "a package may mend its size", edits: []edit{
		{
			"internal/check/inspect/inspect.go",
			"slices.DeleteFunc(slices.Clone(r.Violations), ofPackages)",
			"r.Violations",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitHoldsWhatAPackageMends$"}},
	{name: "a pin of another name is no pin of this package", edits: []edit{
		{
			"pkg/job/resolve.go",
			"case len(d.Packages) == 1 && len(pins) > 0 && pins[0].Name != d.Packages[0].Base():",
			"case false:",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitPinOfAnotherName$"}},
	{name: "bounds of a record", edits: []edit{
		{
			"internal/attempt/step.go",
			"next.bound()\n",
			"",
		},
	}, by: test{"internal/attempt", "^TestLargestRecordAndEvent$"}},
	{name: "bounds of an event", edits: []edit{
		{"internal/attempt/record.go", "}.Bounded()", "}"},
	}, by: test{"internal/attempt", "^TestLargestRecordAndEvent$"}},
	{name: "attributes within Pub/Sub's bytes", edits: []edit{
		{"pkg/event/event.go", "if len(text) > attributeText {", "if false {"},
	}, by: test{"pkg/event", "^TestMessageIsWithinPubSubsLimits$"}},
	{name: "no record that can't be read back", edits: []edit{
		{"internal/flow/ledger/ledger.go", "if len(data) > attempt.MaxRecord {", "if false {"},
	}, by: test{"internal/flow/ledger", "^TestApplyWritesNothingTooLarge$"}},
	{name: "turns fit their note", edits: []edit{
		{"internal/flow/submitter/queue.go", "q.size > attempt.MaxTurns-turnsRest {", "false {"},
	}, by: test{"internal/flow/submitter", "^TestTurnsFitTheirNote$"}},
	{name: "escapes count", edits: []edit{
		{"pkg/job/bounds.go", "r == '<', r == '>', r == '&', ", ""},
	}, by: test{"pkg/job", "^TestSizesAreThoseOfJSON$"}},
	{name: "no bucket without a name is listed", edits: []edit{
		{
			"internal/flow/submitter/submitter.go",
			"if errors.Is(err, job.ErrNotFound) && e.Bucket == \"\" {",
			"if false {",
		},
	}, by: test{"internal/flow/submitter", "^TestResumeOfAnEntryOfNothing$"}},
	{name: "the patience is over for the list, not for the clock", edits: []edit{
		{"internal/flow/submitter/decide.go", "!e.drop.Listed.Before(e.until):", "!now.Before(e.until):"},
	}, by: test{"internal/flow/submitter", "^TestSubmitPatienceEndsDuringTheVisit$"}},
	{name: "the same content runs once at a time", edits: []edit{
		{
			"internal/flow/submitter/same.go",
			"case twin == attempt.RunningTwin, twin == attempt.EndedTwin && e.same.withdraws:",
			"case twin == attempt.EndedTwin && e.same.withdraws:",
		},
	}},
	{name: "after the end the same content runs", edits: []edit{
		{
			"internal/flow/submitter/same.go",
			"case twin == attempt.RunningTwin, twin == attempt.EndedTwin && e.same.withdraws:",
			"case twin == attempt.RunningTwin, twin == attempt.EndedTwin:",
		},
	}},
	{name: "an end counts by the upload, not by the look", edits: []edit{
		{"internal/attempt/twin.go", "r.State.Terminal() && !r.End().After(uploaded):", "r.State.Terminal():"},
	}},
	{name: "the policy withdraws the same content", edits: []edit{
		{"internal/flow/submitter/decide.go", "withdraws: rules.WithdrawsSame()", "withdraws: false"},
	}},
	{name: "jobdrop-rerun runs the same content", edits: []edit{
		{"internal/flow/submitter/decide.go", "runs: !r.MadeID || d.Rerun()", "runs: !r.MadeID"},
	}},
	{name: "an equal attempt without a decision is withdrawn first", edits: []edit{
		{"internal/flow/submitter/same.go", "err = s.withdraw(ctx, key, true)", "return r, false, nil"},
	}, by: test{"internal/flow/submitter", "^TestSubmitSame"}},
	{name: "contents are compared with the note that is swapped", edits: []edit{
		{
			"internal/flow/submitter/decide.go",
			"if note.Generation != read {\n\t\t\t\tvar err error",
			"if false {\n\t\t\t\tvar err error",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameEnteredInBetween$"}},
	{name: "the backend is asked for an end that no tick saw", edits: []edit{
		{
			"internal/flow/submitter/same.go",
			"if earlier.State != job.Submitted || earlier.Backend != s.backend.Name() {",
			"if true {",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameAfterAnEndThatNoTickSaw$"}},
	{name: "an attempt that the backend refused is no twin", edits: []edit{
		{"internal/attempt/twin.go", " || r.State == job.Rejected,", " || r.State == job.Held,"},
	}, by: test{"internal/attempt", "^TestTwin$"}},
	{name: "the note of an earlier revision shows the newest attempt", edits: []edit{
		{"internal/attempt/foldernote.go", "if len(n.Contents) == 0 && n.Newest.Attempt", "if false && n.Newest.Attempt"},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameAsOneOfAnEarlierRevision$"}},
	{name: "the newest attempt of an earlier revision's note stays in it while it runs", edits: []edit{
		{
			"internal/flow/submitter/same.go",
			"found && !earlier.State.Terminal():",
			"false:",
		},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameAsOneOfAnEarlierRevisionAfterOthers$"}},
	{name: "a note keeps the contents of attempts that are open", edits: []edit{
		{"internal/flow/submitter/same.go", "err == nil && r.State.Terminal():", "err == nil && r.State != \"\":"},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameAmongMany$"}},
	{name: "a note forgets contents of attempts that ended", edits: []edit{
		{"internal/attempt/foldernote.go", "case slices.Contains(over, c.Generation):", "case false:"},
	}, by: test{"internal/flow/submitter", "^TestSubmitSameAmongMany$"}},
	{name: "contents are bounded", edits: []edit{
		{"internal/attempt/foldernote.go", "kept[max(len(kept)-maxContents, 0):]", "kept"},
	}, by: test{"internal/attempt", "^TestFolderNoteCrowd$"}},
	{name: "an attempt without a content forgets none", edits: []edit{
		{"internal/attempt/foldernote.go", "\t\tContents:   n.contents(jobFile),\n", ""},
	}, by: test{"internal/attempt", "^TestFolderNoteContents$"}},
	{name: "a cancel that people ask for is repeated until the backend confirms it", edits: []edit{
		{"internal/attempt/due.go", "if r.CancelAsked() && r.Job.State", "if false && r.Job.State"},
	}, by: test{"internal/flow/watcher", "^TestRequestedCancelIsRepeated$"}},
	{name: "who cancels stands in the record before the call", edits: []edit{
		{
			"internal/flow/watcher/requests.go",
			"attempt.Cancel{Request: r, Generation: a.Generation}, q.now())",
			"attempt.Cancel{Request: attempt.Request{Kind: r.Kind}}, q.now())",
		},
	}},
	{name: "a request stays until it was done", edits: []edit{
		{"internal/flow/watcher/requests.go", "case err != nil || answer.Outcome == \"\":", "case ctx.Err() != nil:"},
	}},
	{name: "an attempt whose create is under way is not cancelled yet", edits: []edit{
		{
			"internal/attempt/request.go",
			"case before == job.Accepted && r.Creating == nil && !r.CreateUnknown():",
			"case before == job.Accepted && r.Attempt != \"\":",
		},
	}},
	{name: "no job is created once a cancel was asked for", edits: []edit{
		{"internal/attempt/step.go", "(late || r.CancelAsked())", "late"},
	}, by: test{"internal/flow/submitter", "^TestCancelRequests$"}},
	{name: "a cancel does not wait for the policy", edits: []edit{
		{"internal/flow/submitter/submitter.go", "if stored.CancelAsked() && (claimable", "if false && (claimable"},
	}, by: test{"internal/flow/submitter", "^TestCancelRequests$"}},
	{name: "a create that made nothing ends a cancelled attempt", edits: []edit{
		{"internal/attempt/step.go", "if r.CancelAsked() && !r.CreateUnknown() {", "if false {"},
	}, by: test{"internal/attempt", "^TestCancelRequest$"}},
	{name: "a person's cancel before a limit is no timeout", edits: []edit{
		{"internal/attempt/follow.go", "case r.CancelAsked() && r.CancelRequested.At.Before(", "case false && r.CancelRequested.At.Before("},
	}, by: test{"internal/attempt", "^TestCancelRequestNearALimit$"}},
	{name: "what never ran is no twin", edits: []edit{
		{"internal/attempt/twin.go", "job.Rejected, r.NeverRan():", "job.Rejected:"},
	}, by: test{"internal/attempt", "^TestTwinThatIsCancelled$"}},
	{name: "whoever drops again after a cancel gets a job", edits: []edit{
		{"internal/attempt/twin.go", "case r.CancelAsked() && !r.CancelRequested", "case false && !r.CancelRequested"},
	}, by: test{"internal/flow/submitter", "^TestDropAfterACancel$"}},
	{name: "a refusal replaces no answer that a request was done", edits: []edit{
		{"internal/flow/ledger/requests.go", "case there.Generation == answer.Generation && ", "case err != nil && "},
	}, by: test{"internal/flow/ledger", "^TestAnswerRequest$"}},
	{name: "an answer to a later request stays", edits: []edit{
		{"internal/flow/ledger/requests.go", "case there.Generation > answer.Generation:", "case err != nil:"},
	}, by: test{"internal/flow/ledger", "^TestAnswerOfASlowWorker$"}},
	{name: "a later request of the same name stays", edits: []edit{
		{
			"internal/flow/ledger/requests.go",
			"l.store.DeleteAt(ctx, l.bucket, requestPrefix+a.Name, a.Generation)",
			"l.store.Delete(ctx, l.bucket, requestPrefix+a.Name)",
		},
	}, by: test{"internal/flow/ledger", "^TestAnswerOfASlowWorker$"}},
	{name: "a request that can't be read is refused", edits: []edit{
		{
			"internal/flow/watcher/requests.go",
			"errors.Is(err, job.ErrRefused) || errors.Is(err, job.ErrDenied) {",
			"errors.Is(err, job.ErrRefused) && errors.Is(err, job.ErrDenied) {",
		},
	}, by: test{"internal/flow/watcher", "^TestRequestsAreAnswered$"}},
	{name: "an answered request that is held fails no tick", edits: []edit{
		{"internal/flow/watcher/failures.go", "case attempt.Held(err):", "case false:"},
	}, by: test{"internal/flow/watcher", "^TestRequestThatIsHeld$"}},
	{name: "only what has ended runs again", edits: []edit{
		{"internal/flow/submitter/rerun.go", "case !of.State.Terminal():", "case of.State == job.Waiting:"},
	}},
	{name: "a rerun is made once", edits: []edit{
		{
			"internal/flow/submitter/rerun.go",
			"attempt.NewRerun(of, r, a, s.options.Now())",
			"attempt.NewRerun(of, r, later(a, s.options.Now()), s.options.Now())",
		},
		{
			"internal/flow/submitter/rerun.go",
			"// index puts a rerun on the index",
			"func later(a attempt.Asked, now time.Time) attempt.Asked {\n\ta.Generation = now.UnixMicro()\n\treturn a\n}\n\n" +
				"// index puts a rerun on the index",
		},
	}},
	{name: "a rerun is on the index before its request goes", edits: []edit{
		{"internal/flow/submitter/rerun.go", "return made, s.index(ctx, made)", "return made, nil"},
	}, by: test{"internal/flow/submitter", "^TestRerun$"}},
	{name: "a rerun has a job ID of its own", edits: []edit{
		{"internal/flow/submitter/rerun.go", "\tr.Spec.JobID = a.JobID(of.Drop.JobFile)\n", ""},
	}},
	{name: "a rerun runs the generations of the receipt", edits: []edit{
		{"internal/flow/submitter/rerun.go", "StatAt(ctx, o.Bucket, o.Name, o.Generation)", "StatAt(ctx, o.Bucket, o.Name, 0)"},
	}},
	{name: "a rerun obeys the present policy", edits: []edit{
		{
			"internal/flow/submitter/rerun.go",
			"\tif job.HasErrors(r.Violations) {\n\t\treturn nil, invalid", "\tif false {\n\t\treturn nil, invalid",
		},
	}, by: test{"internal/flow/submitter", "^TestRerunIsDeclined$"}},
	{name: "a rerun is not refused for what the operator has to mend", edits: []edit{
		{"internal/flow/submitter/rerun.go", "case errors.As(err, &lost):", "case errors.As(err, &lost) || errors.Is(err, job.ErrNotFound):"},
	}, by: test{"internal/flow/submitter", "^TestRerunWaitsForTheOperator$"}},
	{name: "a rerun waits for its turn", edits: []edit{
		{"internal/flow/submitter/rerun.go", "wait = cmp.Or(wait, \"waiting for its turn\")", "wait = cmp.Or(\"\", \"\")"},
	}},
	{name: "a tick reads few requests", edits: []edit{
		{"internal/flow/watcher/requests.go", "if len(all) <= mostRequests {", "if true {"},
	}, by: test{"internal/flow/watcher", "^TestRequestsAreBounded$"}},
	{name: "a tick begins few reruns", edits: []edit{
		{"internal/flow/watcher/requests.go", "a, reruns < mostReruns)", "a, true)"},
	}, by: test{"internal/flow/watcher", "^TestRerunsAreBounded$"}},
	{name: "a rerun is refused for want of time only if it had all of it", edits: []edit{
		{"internal/flow/watcher/requests.go", "case slow && whole:", "case slow && (whole || !whole):"},
	}, by: test{"internal/flow/watcher", "^TestRerunThatTakesLong$"}},
	{name: "a rerun that was cut short goes first in the next tick", edits: []edit{
		{"internal/flow/watcher/requests.go", "\t\t\tdid.cursor.First = a.Name\n", ""},
	}, by: test{"internal/flow/watcher", "^TestRerunThat"}},
	{name: "a rerun is not to blame for others' checks", edits: []edit{
		{"internal/flow/submitter/rerun.go", "slow && began().Sub(asked) > turnTime {", "slow && began().Before(asked) {"},
	}, by: test{"internal/flow/submitter", "^TestInspectReceivedBehindOthers$"}},
	{name: "requests on a page do not hide those behind it", edits: []edit{
		{"internal/flow/watcher/requests.go", "if did.cursor.After = \"\"; more {", "if did.cursor.After = \"\"; more && len(page) == 0 {"},
	}, by: test{"internal/flow/watcher", "^TestRequestsBehindOthers$"}},
	{name: "a tick after one that left requests looks at some", edits: []edit{
		{"internal/flow/watcher/requests.go", "if did.cursor.After = \"\"; more {", "if did.cursor.After = \"\"; more || len(page) > 0 {"},
	}, by: test{"internal/flow/watcher", "^TestRequestsAmongThoseThatStay$"}},
	{name: "those of a page that a tick leaves come next", edits: []edit{
		{"internal/flow/watcher/requests.go", "inTurn(page, cursor.Rounds))", "inTurn(page, 2*cursor.Rounds))"},
	}, by: test{"internal/flow/watcher", "^TestRequestsAmongThoseThatStay$"}},
	{name: "one attempt's requests do not hide another's", edits: []edit{
		{"internal/flow/watcher/requests.go", "\t\tseen[a.Attempt()]++\n", ""},
	}, by: test{"internal/flow/watcher", "^TestRequestsOfOneAttempt$"}},
	{name: "a request that has its answer is not done", edits: []edit{
		{"internal/flow/watcher/requests.go", ":= q.records.Dismiss(ctx, a); answered", ":= false, error(nil); answered"},
	}, by: test{"internal/flow/watcher", "^TestRequestThatWasRefused$"}},
	{name: "an event whose answer was an error is looked at again", edits: []edit{
		{"internal/flow/submitter/visits.go", "\tif err != nil {\n\t\treturn\n\t}\n\tvs.seen", "\tvs.seen"},
	}, by: test{"internal/flow/submitter", "^TestSubmitRemembersWhatItAnswered$"}},
	{name: "a visit answers the events of what its list shows", edits: []edit{
		{"internal/flow/submitter/visits.go", "\tif !shared {\n", "\tif false {\n"},
	}, by: test{"internal/flow/submitter", "^TestSubmitLooksForWhatCameLater$"}},
	{name: "who shares a visit shares its failure", edits: []edit{
		{"internal/flow/submitter/visits.go", "\t\treturn !cutOff, r.err\n", "\t\treturn !cutOff, nil\n"},
	}, by: test{"internal/flow/submitter", "^TestSubmitSharesAFailure$"}},
	{name: "a drop is left to a worker that saw the same parts", edits: []edit{
		{"internal/attempt/ledger.go", "e.Opened.Parts == own.Parts && ", ""},
	}, by: test{"internal/flow/submitter", "^TestSubmitLeavesADropToItsWorker$"}},
	{name: "a drop is left to another worker for a while", edits: []edit{
		{"internal/attempt/ledger.go", " && now.Before(e.Written.Add(decideTime))", ""},
	}, by: test{"internal/flow/submitter", "^TestSubmitLeavesADropToItsWorker$"}},
	{name: "no worker leaves a drop to itself", edits: []edit{
		{"internal/attempt/ledger.go", "e.Opened.By != own.By && ", ""},
	}, by: test{"internal/flow/submitter", "^TestSubmitGoesOnWithItsOwnDrop$"}},
	{name: "a tick leaves no drop to another worker", edits: []edit{
		{"internal/flow/submitter/submitter.go", "if made || err != nil || why != byEvent {", "if made || err != nil {"},
	}, by: test{"internal/flow/submitter", "^TestSubmitLeavesADropToItsWorker$"}},
	{name: "a rerun that was made is no refused request", edits: []edit{
		{"internal/flow/relay/relay.go", "; ok && news && s.Published == 0 {", "; ok && news && s.Published < 0 {"},
	}, by: test{"internal/flow/submitter", "^TestRerunThatAnotherRefused$"}},
	{name: "what is restored is listed by time first", edits: []edit{
		{
			"internal/flow/ledger/ledger.go",
			"if _, err := l.place(ctx, recentName(e.Summary()), e.Summary()); err != nil {",
			"if _, err := l.place(ctx, recentName(e.Summary()), e.Summary()); err != nil && ctx.Err() != nil {",
		},
	}, by: test{"internal/flow/ledger", "^TestRestoreByTimeFirst$"}},
	{name: "notify: a lease keeps others away", edits: []edit{
		{
			"internal/delivery/step.go",
			"if r.Leased(now) && r.Lease.Owner != owner {",
			"if false {",
		},
	}},
	{name: "notify: a send ends under its lease", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"if r.Lease == nil || r.Lease.Until.Sub(n.now()) < delivery.SendTime {",
			"if false {",
		},
	}, by: test{"internal/flow/notifier", "^TestLeaseIsAboutToEnd$"}},
	{name: "notify: what was told is noted after the send", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"\t\tanswer := n.send(ctx, file, c, s.Record, work)\n",
			"\t\ts, _ = n.swap(ctx, c, s, func(r delivery.Record) (delivery.Record, bool) {\n" +
				"\t\t\treturn r.Answered(owner, work, delivery.Answer{}, manner, n.now()), true\n\t\t})\n" +
				"\t\tanswer := n.send(ctx, file, c, s.Record, work)\n",
		},
	}},
	{name: "notify: what waits has an entry", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"if i, waits := s.Waits(e.Generation, e.Body.Sequence); waits {",
			"if i, waits := s.Waits(e.Generation, e.Body.Sequence); false && waits {",
		},
	}},
	{name: "notify: an entry that can't be written is no success", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"if err := n.open(ctx, entryOf(c, i)); err != nil {\n\t\t\treturn err\n\t\t}",
			"_ = n.open(ctx, entryOf(c, i))",
		},
	}, by: test{"internal/flow/notifier", "^TestStateUnreachable$"}},
	{name: "notify: an entry stays while its event waits", edits: []edit{
		{
			"internal/flow/notifier/tick.go",
			"case !waits:",
			"case !waits || true:",
		},
	}},
	{name: "notify: an entry goes once its event was told", edits: []edit{
		{
			"internal/flow/notifier/tick.go",
			"errs = append(errs, n.close(ctx, e))",
			"errs = append(errs, nil)",
		},
	}, by: test{"internal/flow/notifier", "^TestDown$"}},
	{name: "notify: an earlier try may have told it", edits: []edit{
		{
			"internal/delivery/step.go",
			"Unsure: p.Unsure, ",
			"Unsure: false, ",
		},
	}},
	{name: "notify: what was told of an old attempt is known", edits: []edit{
		{
			"internal/delivery/step.go",
			"return ok && sequence <= r.Settled[at].Sequence",
			"return false && ok && sequence <= r.Settled[at].Sequence",
		},
	}, by: test{"internal/delivery", "^TestSettled$"}},
	{name: "notify: a rest that was asked for is rounded up", edits: []edit{
		{
			"internal/delivery/step.go",
			"now.Add(pause + time.Second - 1).Truncate",
			"now.Add(pause).Truncate",
		},
	}, by: test{"internal/delivery", "^TestRestsForAsLongAsAsked$"}},
	{name: "notify: what may have counted repeats is not taken out", edits: []edit{
		{
			"internal/delivery/step.go",
			"if p.Unsure && p.Repeats > 0 {",
			"if false {",
		},
	}, by: test{"internal/delivery", "^TestRepeatsOfWhatIsOvertaken$"}},
	{name: "notify: an outcome is told though a newer one waits", edits: []edit{
		{
			"internal/delivery/step.go",
			"(p.Kind == notice.Progress && (same || m.Shows)",
			"(p.Kind != notice.Warning && (same || m.Shows)",
		},
	}},
	{name: "notify: repeats are told with the next message", edits: []edit{
		{
			"internal/delivery/step.go",
			"p.Repeats += last.Repeats",
			"p.Repeats += 0",
		},
	}},
	{name: "notify: repeats are counted", edits: []edit{
		{
			"internal/delivery/step.go",
			"\t\tagain.Repeats++\n",
			"",
		},
	}},
	{name: "notify: a repeat after six hours is news", edits: []edit{
		{
			"internal/delivery/step.go",
			"last.Digest == digest && now.Sub(last.Told) < RepeatTime {",
			"last.Digest == digest {",
		},
	}},
	{name: "notify: a rejection that was given up is told again", edits: []edit{
		{
			"internal/delivery/step.go",
			"\tr.unheard(p)\n",
			"",
		},
	}, by: test{"internal/delivery", "^TestRepeatsOfWhatWasGivenUp$"}},
	{name: "notify: a rejection that was given up stands for no later one", edits: []edit{
		{
			"internal/delivery/step.go",
			"r.Rejection.Generation != 0 && r.Rejection.Generation != p.Generation",
			"false",
		},
	}, by: test{"internal/delivery", "^TestRepeatsAfterALateRefusal$"}},
	{name: "notify: what was overtaken itself overtakes", edits: []edit{
		{
			"internal/delivery/step.go",
			"t.How != GaveUp && newer(",
			"t.How == Sent && newer(",
		},
	}, by: test{"internal/delivery", "^TestLateAfterARefusal$"}},
	{name: "notify: what was told while it was overtaken was told", edits: []edit{
		{
			"internal/delivery/step.go",
			"\t\tif a.Err == nil {\n\t\t\tr.showed(w.Intent, m)\n\t\t}\n",
			"",
		},
	}, by: test{"internal/delivery", "^TestToldWhileOvertaken$"}},
	{name: "notify: Retry-After", edits: []edit{
		{
			"internal/delivery/step.go",
			"return max(own, min(after, maxAfter))",
			"return own",
		},
		{"internal/delivery/step.go", "After(a.Err) > 0 && until.After(r.NotBefore)", "false"},
	}},
	{name: "notify: Retry-After has a bound", edits: []edit{
		{
			"internal/delivery/step.go",
			"return max(own, min(after, maxAfter))",
			"return max(own, after)",
		},
	}, by: test{"internal/delivery", "^TestTries$"}},
	{name: "notify: tries end", edits: []edit{
		{
			"internal/delivery/step.go",
			"case IsNever(a.Err) || now.Sub(w.Intent.Since) >= GiveUpTime:",
			"case IsNever(a.Err):",
		},
	}, by: test{"internal/delivery", "^TestTries$"}},
	{name: "notify: tries go on for a day", edits: []edit{
		{
			"internal/delivery/step.go",
			"case IsNever(a.Err) || now.Sub(w.Intent.Since) >= GiveUpTime:",
			"case IsNever(a.Err) || now.Sub(w.Intent.Since) >= GiveUpTime/3:",
		},
	}},
	{name: "notify: a refusal ends the tries", edits: []edit{
		{
			"internal/delivery/step.go",
			"case IsNever(a.Err) || now.Sub(w.Intent.Since) >= GiveUpTime:",
			"case now.Sub(w.Intent.Since) >= GiveUpTime:",
		},
	}, by: test{"internal/flow/notifier", "^TestGiveUpAndReplay$"}},
	{name: "notify: after a lost lease the newest is shown again", edits: []edit{
		{
			"internal/delivery/step.go",
			"\t\tr.Refresh = true\n",
			"\t\t_ = n\n",
		},
	}, by: test{"internal/delivery", "^TestLostLease$"}},
	{name: "notify: and if the send seemed to fail", edits: []edit{
		{
			"internal/delivery/step.go",
			"lost && m.Shows && !IsNever(a.Err) &&",
			"lost && m.Shows && a.Err == nil &&",
		},
	}, by: test{"internal/delivery", "^TestLostLease$"}},
	{name: "notify: and if it was such a refresh itself", edits: []edit{
		{
			"internal/delivery/step.go",
			"!(w.Refresh && n.is(w.Intent.Generation, w.Intent.Sequence)) {",
			"!w.Refresh {",
		},
	}, by: test{"internal/delivery", "^TestLostLeaseOfARefresh$"}},
	{name: "notify: who lost the lease shortens no pause", edits: []edit{
		{
			"internal/delivery/step.go",
			"After(a.Err) > 0 && until.After(r.NotBefore) {",
			"After(a.Err) > 0 {",
		},
		{
			"internal/delivery/step.go",
			"!IsNever(a.Err) && next.After(r.Pending[at].Next) {",
			"!IsNever(a.Err) {",
		},
	}, by: test{"internal/delivery", "^TestLostLeaseAndRetryAfter$"}},
	{name: "notify: a lease that was given back is not lost", edits: []edit{
		{
			"internal/delivery/step.go",
			"\t\tr.Lease = &Lease{Owner: owner}\n",
			"\t\tr.Lease = nil\n",
		},
	}, by: test{"internal/delivery", "^TestAnsweredTwice$"}},
	{name: "notify: each send has a lease of its own name", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"\t\towner = fmt.Sprintf(\"%s.%d\", nonce, k)\n",
			"\t\t_ = nonce\n",
		},
		{
			"internal/flow/notifier/notifier.go",
			"if r.Lease != nil && r.Lease.Owner == owner { // written, and the answer was lost\n",
			"if false {\n",
		},
	}, by: test{"internal/flow/notifier", "^TestStalledAndNotedTwice$"}},
	{name: "notify: the receipt of a lost lease is not kept", edits: []edit{
		{
			"internal/delivery/step.go",
			"(!lost || len(r.Receipt) == 0)",
			"(!lost || true)",
		},
	}, by: test{"internal/delivery", "^TestLostLease$"}},
	{name: "notify: what another process told is not given up", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"s.GivenUp = r.GaveUp(w.Intent.Generation, w.Intent.Sequence)",
			"s.GivenUp = !waits",
		},
	}},
	{name: "notify: the epoch", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"if err != nil || e.Time().Before(epoch) {",
			"_ = epoch\n\tif err != nil {",
		},
	}},
	{name: "notify: an event that no route names costs nothing", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"\tif len(matches) == 0 {\n\t\treturn nil\n\t}\n\tepoch, err := n.started(ctx)\n",
			"\tepoch, err := n.started(ctx)\n\tif len(matches) == 0 {\n\t\treturn err\n\t}\n",
		},
	}},
	{name: "notify: what can't be noted is no success", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"\t\tif err != nil {\n\t\t\treturn s, did, err\n\t\t}\n\t\tn.say(",
			"\t\tif err != nil {\n\t\t\treturn s, did, nil\n\t\t}\n\t\tn.say(",
		},
	}},
	{name: "notify: compare-and-swap", edits: []edit{
		{
			"internal/flow/notifier/store.go",
			"n.bucket, c.name(), data, jsonType, nil, s.generation)",
			"n.bucket, c.name(), data, jsonType, nil, attempt.AnyGeneration)",
		},
	}},
	{name: "notify: faults of the routes are named", edits: []edit{
		{
			"internal/delivery/step.go",
			"Faults: bounded(faults)}",
			"Faults: bounded(nil)}",
		},
	}},
	{name: "notify: a destination waits for no other", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"\tg.SetLimit(n.options.Parallel)\n",
			"\tg.SetLimit(1)\n",
		},
	}},
	{name: "notify: a tick leaves a destination that is down", edits: []edit{
		{
			"internal/flow/notifier/tick.go",
			"t.failures[entries[0].destination] < outage &&",
			"true &&",
		},
	}, by: test{"internal/flow/notifier", "^TestOutage$"}},
	{name: "notify: a replay has entries", edits: []edit{
		{
			"internal/flow/notifier/replay.go",
			"if err := n.open(ctx, e); err != nil {",
			"if err := error(nil); err != nil {",
		},
	}},
	{name: "notify: heartbeats that are late are told", edits: []edit{
		{
			"internal/flow/notifier/heartbeat.go",
			"if now.Sub(since) > d.Every+lateness &&",
			"if false &&",
		},
	}},
	{name: "notify: heartbeats come once in their time", edits: []edit{
		{
			"internal/flow/notifier/heartbeat.go",
			"h.Reached.IsZero() || now.Sub(h.Reached) >= d.Every",
			"true",
		},
	}},
	{name: "notify: what too many others crowd out is reported", edits: []edit{
		{
			"internal/flow/notifier/notifier.go",
			"for _, i := range taken.GivenUp {",
			"for _, i := range taken.GivenUp[:0] {",
		},
	}, by: test{"internal/flow/notifier", "^TestCrowd$"}},
	{name: "notify: nobody waits for another's look at the epoch", edits: []edit{
		{
			"internal/flow/notifier/store.go",
			"\tepoch := n.epoch\n\tn.mu.Unlock()\n\tif",
			"\tepoch := n.epoch\n\tdefer n.mu.Unlock()\n\tif",
		},
		{
			"internal/flow/notifier/store.go",
			"\tn.mu.Lock()\n\tdefer n.mu.Unlock()\n\tn.epoch = at\n",
			"\tn.epoch = at\n",
		},
	}, by: test{"internal/flow/notifier", "^TestEpochIsAskedForAtOnce$"}},
}
