package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/mirror"
)

// events reads a watch until it has told count events.
func events(ctx context.Context, watch clientv3.WatchChan, count int) ([]string, error) {
	var seen []string
	for len(seen) < count {
		select {
		case response, open := <-watch:
			if !open || response.Err() != nil {
				return seen, fmt.Errorf("the watch ended after %v: %v", seen, response.Err())
			}
			for _, event := range response.Events {
				text := fmt.Sprintf("%s %s=%s", event.Type, event.Kv.Key, event.Kv.Value)
				if event.PrevKv != nil {
					text += fmt.Sprintf(" was %s", event.PrevKv.Value)
				}
				seen = append(seen, text)
			}
		case <-ctx.Done():
			return seen, fmt.Errorf("the watch stalled after %v", seen)
		}
	}
	return seen, nil
}

func watchPrefix(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	here, there := e.each[0], e.other()
	start, err := here.Put(ctx, "watch/a", "0")
	if err != nil {
		return err
	}
	after := clientv3.WithRev(start.Header.Revision + 1)
	live := there.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(), after)
	deletes := there.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithFilterPut(), after)
	single := here.Watch(ctx, "watch/b", clientv3.WithFragment(), after)
	for _, op := range []clientv3.Op{
		clientv3.OpPut("watch/a", "1"),
		clientv3.OpPut("watch/b", "2"),
		clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete("watch/", clientv3.WithPrefix()), clientv3.OpPut("watch0", "")}, nil),
		clientv3.OpPut("watch/a", "3"),
	} {
		if _, err := here.Do(ctx, op); err != nil {
			return err
		}
	}
	expected := []string{"PUT watch/a=1 was 0", "PUT watch/b=2", "DELETE watch/a= was 1", "DELETE watch/b= was 2", "PUT watch/a=3"}
	seen, err := events(ctx, live, len(expected))
	if err != nil {
		return err
	}
	// Once more, out of the history.
	again, err := events(ctx, there.Watch(ctx, "watch/", clientv3.WithPrefix(), clientv3.WithPrevKV(), after), len(expected))
	if err != nil {
		return err
	}
	onlyDeletes, err := events(ctx, deletes, 2)
	if err != nil {
		return err
	}
	onlyB, err := events(ctx, single, 2)
	if err != nil {
		return err
	}
	return first(
		want("live", seen, expected),
		want("out of the history", again, expected),
		want("without puts", onlyDeletes, "[DELETE watch/a= DELETE watch/b=]"),
		want("one key", onlyB, "[PUT watch/b=2 DELETE watch/b=]"),
	)
}

// watchProgress: a request for progress is answered with a revision that the watch has been told up to.
func watchProgress(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	here := e.each[0]
	watch := here.Watch(ctx, "progress/", clientv3.WithPrefix(), clientv3.WithCreatedNotify(), clientv3.WithProgressNotify())
	if created := <-watch; !created.Created {
		return fmt.Errorf("the watch begins with %+v", created)
	}
	for n := range 20 {
		put, err := e.other().Put(ctx, fmt.Sprint("progress/", n), "")
		if err != nil {
			return err
		}
		told, progress := int64(0), int64(0)
		for progress < put.Header.Revision {
			if err := here.RequestProgress(ctx); err != nil {
				return err
			}
			// Whatever comes first: the event, or progress up to before it.
			response, open := <-watch
			if !open || response.Err() != nil {
				return fmt.Errorf("the watch ended: %v", response.Err())
			}
			if response.IsProgressNotify() {
				progress = response.Header.Revision
			}
			for _, event := range response.Events {
				told = event.Kv.ModRevision
			}
		}
		if err := want("the event before the progress that covers it", told, put.Header.Revision); err != nil {
			return err
		}
	}
	return nil
}

func watchCompacted(ctx context.Context, e *env) error {
	var revision int64
	for n := range 3 {
		put, err := e.each[0].Put(ctx, "compacted", fmt.Sprint(n))
		if err != nil {
			return err
		}
		revision = put.Header.Revision
	}
	if _, err := e.each[0].Compact(ctx, revision); err != nil {
		return err
	}
	// The other server knows of the compaction when it has answered this.
	if _, err := e.other().Get(ctx, "compacted"); err != nil {
		return err
	}
	response := <-e.other().Watch(ctx, "compacted", clientv3.WithRev(revision-1))
	if err := response.Err(); !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("%v, expected %v", err, rpctypes.ErrCompacted)
	}
	if err := want("compacted at", response.CompactRevision, revision); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at, err := events(ctx, e.other().Watch(ctx, "compacted", clientv3.WithRev(revision), clientv3.WithPrevKV()), 1)
	if err != nil {
		return err
	}
	return want("from the compacted revision", at[0][:len("PUT compacted=2")], "PUT compacted=2")
}

// watchMany: many watches share one stream, and each hears of its own keys alone.
func watchMany(ctx context.Context, e *env) error {
	const watches, changes = 100, 20
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	errs := make(chan error, watches)
	for n := range watches {
		watch := e.each[n%len(e.each)].Watch(ctx, fmt.Sprintf("many/%03d/", n), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		if created := <-watch; !created.Created {
			return fmt.Errorf("the watch begins with %+v", created)
		}
		group.Go(func() {
			seen, err := events(ctx, watch, changes)
			for change, event := range seen {
				err = first(err, want("an event", event, fmt.Sprintf("PUT many/%03d/%d=", n, change)))
			}
			errs <- err
		})
	}
	for change := range changes {
		for from := 0; from < watches; from += 50 {
			var ops []clientv3.Op
			for n := from; n < from+50; n++ {
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("many/%03d/%d", n, change), ""))
			}
			if _, err := e.all.Txn(ctx).Then(ops...).Commit(); err != nil {
				return err
			}
		}
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// mirrored copies a prefix and follows it.
func mirrored(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n := range 10 {
		if _, err := e.each[0].Put(ctx, fmt.Sprintf("mirror/%d", n), ""); err != nil {
			return err
		}
	}
	syncer := mirror.NewSyncer(e.other(), "mirror/", 0)
	base, errs := syncer.SyncBase(ctx)
	copied := 0
	for response := range base {
		copied += len(response.Kvs)
	}
	if err := <-errs; err != nil {
		return err
	}
	updates := syncer.SyncUpdates(ctx)
	if _, err := e.each[0].Delete(ctx, "mirror/3"); err != nil {
		return err
	}
	seen, err := events(ctx, updates, 1)
	if err != nil {
		return err
	}
	return first(want("copied", copied, 10), want("followed", seen, "[DELETE mirror/3=]"))
}
