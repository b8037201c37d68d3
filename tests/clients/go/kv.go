package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/ordering"
)

func keys(response *clientv3.GetResponse) string {
	var keys []string
	for _, kv := range response.Kvs {
		keys = append(keys, string(kv.Key)+"="+string(kv.Value))
	}
	return strings.Join(keys, " ")
}

// kv writes on one server and reads on the other, with the options that the client has.
func kv(ctx context.Context, e *env) error {
	here, there := e.each[0], e.other()
	for n := range 5 {
		if _, err := here.Put(ctx, fmt.Sprintf("kv/%d", n), fmt.Sprint(9-n)); err != nil {
			return err
		}
	}
	put, err := here.Put(ctx, "kv/2", "two", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	if err := want("the previous value", string(put.PrevKv.Value), "7"); err != nil {
		return err
	}
	for _, c := range []struct {
		options  []clientv3.OpOption
		expected string
		count    int64
		more     bool
	}{
		{nil, "kv/0=9 kv/1=8 kv/2=two kv/3=6 kv/4=5", 5, false},
		{[]clientv3.OpOption{clientv3.WithLimit(2)}, "kv/0=9 kv/1=8", 5, true},
		{[]clientv3.OpOption{clientv3.WithRev(put.Header.Revision - 1)}, "kv/0=9 kv/1=8 kv/2=7 kv/3=6 kv/4=5", 5, false},
		{[]clientv3.OpOption{clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend), clientv3.WithLimit(3)}, "kv/2=two kv/0=9 kv/1=8", 5, true},
		{[]clientv3.OpOption{clientv3.WithMinModRev(put.Header.Revision)}, "kv/2=two", 5, false},
		{[]clientv3.OpOption{clientv3.WithMaxCreateRev(put.Header.Revision - 5)}, "kv/0=9", 5, false},
		{[]clientv3.OpOption{clientv3.WithKeysOnly(), clientv3.WithLimit(1)}, "kv/0=", 5, true},
		{[]clientv3.OpOption{clientv3.WithCountOnly()}, "", 5, false},
		{[]clientv3.OpOption{clientv3.WithSerializable(), clientv3.WithRange("kv/2")}, "kv/0=9 kv/1=8", 2, false},
	} {
		options := append([]clientv3.OpOption{clientv3.WithPrefix()}, c.options...)
		got, err := there.Get(ctx, "kv/", options...)
		if err != nil {
			return err
		}
		seen := fmt.Sprint(keys(got), got.Count, got.More)
		if err := want("a range", seen, fmt.Sprint(c.expected, c.count, c.more)); err != nil {
			return err
		}
	}
	from, err := there.Get(ctx, "kv/3", clientv3.WithFromKey(), clientv3.WithLimit(2))
	if err != nil {
		return err
	}
	deleted, err := there.Delete(ctx, "kv/1", clientv3.WithRange("kv/3"), clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	do, err := here.Do(ctx, clientv3.OpGet("kv/", clientv3.WithPrefix()))
	if err != nil {
		return err
	}
	return first(
		want("from a key", keys(from), "kv/3=6 kv/4=5"),
		want("deleted", fmt.Sprint(deleted.Deleted, " ", string(deleted.PrevKvs[1].Value)), "2 two"),
		want("left", keys(do.Get()), "kv/0=9 kv/3=6 kv/4=5"),
	)
}

// kvErrors: the client knows an error by its text.
func kvErrors(ctx context.Context, e *env) error {
	client := e.all
	put, err := client.Put(ctx, "errors", "1")
	if err != nil {
		return err
	}
	revision := put.Header.Revision
	if _, err := client.Compact(ctx, revision, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	for _, c := range []struct {
		expected error
		op       clientv3.Op
	}{
		{rpctypes.ErrEmptyKey, clientv3.OpPut("", "")},
		{rpctypes.ErrCompacted, clientv3.OpGet("errors", clientv3.WithRev(revision-1))},
		{rpctypes.ErrFutureRev, clientv3.OpGet("errors", clientv3.WithRev(revision+1000))},
		{rpctypes.ErrLeaseNotFound, clientv3.OpPut("errors", "", clientv3.WithLease(4711))},
		{rpctypes.ErrKeyNotFound, clientv3.OpPut("errors/none", "", clientv3.WithIgnoreValue())},
		{rpctypes.ErrValueProvided, clientv3.OpPut("errors", "2", clientv3.WithIgnoreValue())},
		{rpctypes.ErrDuplicateKey, clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("a", ""), clientv3.OpPut("a", "")}, nil)},
		{rpctypes.ErrRequestTooLarge, clientv3.OpPut("errors", strings.Repeat("x", 2<<20-512))},
	} {
		if _, err := e.other().Do(ctx, c.op); !errors.Is(err, c.expected) {
			return fmt.Errorf("%v, expected %v", err, c.expected)
		}
	}
	many := make([]clientv3.Op, 129)
	for n := range many {
		many[n] = clientv3.OpPut(fmt.Sprint("errors/", n), "")
	}
	if _, err := client.Txn(ctx).Then(many...).Commit(); !errors.Is(err, rpctypes.ErrTooManyOps) {
		return fmt.Errorf("%v, expected %v", err, rpctypes.ErrTooManyOps)
	}
	if _, err := client.Compact(ctx, revision); !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("%v, expected %v", err, rpctypes.ErrCompacted)
	}
	return nil
}

func txn(ctx context.Context, e *env) error {
	here, there := e.each[0], e.other()
	create := func(client *clientv3.Client, value string) (*clientv3.TxnResponse, error) {
		return client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("txn/a"), "=", 0)).
			Then(clientv3.OpPut("txn/a", value)).Else(clientv3.OpGet("txn/a")).Commit()
	}
	one, err := create(here, "one")
	if err != nil {
		return err
	}
	two, err := create(there, "two")
	if err != nil {
		return err
	}
	revision := one.Header.Revision
	nested, err := there.Txn(ctx).If(
		clientv3.Compare(clientv3.Value("txn/a"), ">", "oa"),
		clientv3.Compare(clientv3.Version("txn/a"), "=", 1),
		clientv3.Compare(clientv3.ModRevision("txn/a"), "<", revision+1),
		clientv3.Compare(clientv3.LeaseValue("txn/a"), "=", 0),
		clientv3.Compare(clientv3.CreateRevision("txn/"), ">", 0).WithPrefix(),
	).Then(
		clientv3.OpPut("txn/b", "b"),
		clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.Version("txn/b"), "!=", 0)}, nil,
			[]clientv3.Op{clientv3.OpGet("txn/", clientv3.WithPrefix()), clientv3.OpDelete("txn/a")}),
	).Commit()
	if err != nil {
		return err
	}
	if err := first(want("the first create", one.Succeeded, true), want("the second", two.Succeeded, false)); err != nil {
		return err
	}
	if err := want("the compares", nested.Succeeded, true); err != nil {
		return err
	}
	inner := nested.Responses[1].GetResponseTxn()
	// All compares look at the state before; the operations see the ones before them.
	if err := first(want("the inner compare", inner.Succeeded, false), want("inner answers", len(inner.Responses), 2)); err != nil {
		return err
	}
	got := (*clientv3.GetResponse)(inner.Responses[0].GetResponseRange())
	return first(
		want("what the loser reads", string(two.Responses[0].GetResponseRange().Kvs[0].Value), "one"),
		want("the range between", keys(got), "txn/a=one txn/b=b"),
		want("deleted", inner.Responses[1].GetResponseDeleteRange().Deleted, 1),
		want("one revision for all", nested.Header.Revision, revision+1),
	)
}

// kubernetesInterface is what kube-apiserver calls.
func kubernetesInterface(ctx context.Context, e *env) error {
	client := kubernetes.Client{Client: e.all}
	created, err := client.OptimisticPut(ctx, "k8s/a", []byte("1"), 0, kubernetes.PutOptions{})
	if err != nil {
		return err
	}
	lost, err := client.OptimisticPut(ctx, "k8s/a", []byte("2"), 0, kubernetes.PutOptions{GetOnFailure: true})
	if err != nil {
		return err
	}
	if err := want("a second create", fmt.Sprint(lost.Succeeded, string(lost.KV.Value)), "false1"); err != nil {
		return err
	}
	updated, err := client.OptimisticPut(ctx, "k8s/a", []byte("3"), created.Revision, kubernetes.PutOptions{})
	if err != nil {
		return err
	}
	for n := range 5 {
		key := fmt.Sprintf("k8s/b%d", n)
		if _, err := client.OptimisticPut(ctx, key, nil, 0, kubernetes.PutOptions{}); err != nil {
			return err
		}
	}
	page, err := client.List(ctx, "k8s/", kubernetes.ListOptions{Limit: 4})
	if err != nil {
		return err
	}
	next := string(page.Kvs[3].Key) + "\x00"
	rest, err := client.List(ctx, "k8s/", kubernetes.ListOptions{Limit: 4, Continue: next, Revision: page.Revision})
	if err != nil {
		return err
	}
	count, err := client.Count(ctx, "k8s/", kubernetes.CountOptions{})
	if err != nil {
		return err
	}
	old, err := client.Get(ctx, "k8s/a", kubernetes.GetOptions{Revision: created.Revision})
	if err != nil {
		return err
	}
	refused, err := client.OptimisticDelete(ctx, "k8s/a", created.Revision, kubernetes.DeleteOptions{GetOnFailure: true})
	if err != nil {
		return err
	}
	deleted, err := client.OptimisticDelete(ctx, "k8s/a", updated.Revision, kubernetes.DeleteOptions{})
	if err != nil {
		return err
	}
	return first(
		want("pages", fmt.Sprint(len(page.Kvs), page.Count, len(rest.Kvs), rest.Count, count), "4 6 2 2 6"),
		want("an old revision", string(old.KV.Value), "1"),
		want("a late delete", fmt.Sprint(refused.Succeeded, string(refused.KV.Value)), "false3"),
		want("a delete", deleted.Succeeded, true),
	)
}

func namespaced(ctx context.Context, e *env) error {
	inside := namespace.NewKV(e.each[0], "ns/")
	watch := namespace.NewWatcher(e.other(), "ns/").Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if created := <-watch; !created.Created {
		return fmt.Errorf("the watch begins with %+v", created)
	}
	leases := namespace.NewLease(e.all, "ns/")
	grant, err := leases.Grant(ctx, 60)
	if err != nil {
		return err
	}
	if _, err := inside.Put(ctx, "a", "1", clientv3.WithLease(grant.ID)); err != nil {
		return err
	}
	both, err := inside.Txn(ctx).If(clientv3.Compare(clientv3.Value("a"), "=", "1")).Then(clientv3.OpGet("", clientv3.WithPrefix())).Commit()
	if err != nil {
		return err
	}
	outside, err := e.all.Get(ctx, "ns/a")
	if err != nil {
		return err
	}
	ttl, err := leases.TimeToLive(ctx, grant.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	event := (<-watch).Events[0]
	return first(
		want("inside", string(both.Responses[0].GetResponseRange().Kvs[0].Key), "a"),
		want("outside", keys(outside), "ns/a=1"),
		want("the watch", string(event.Kv.Key), "a"),
		want("attached", fmt.Sprintf("%s", ttl.Keys), "[a]"),
	)
}

// ordered: no read goes back behind another, whichever server answers. A serializable one may come from a server that is behind: the package
// asks again, and the client's picker the next server.
func ordered(ctx context.Context, e *env) error {
	client, err := e.client(clientv3.Config{Endpoints: e.endpoints})
	if err != nil {
		return err
	}
	defer client.Close()
	again := func(clientv3.Op, clientv3.OpResponse, int64) error { return ctx.Err() }
	kv := ordering.NewKV(client.KV, again)
	for n := range 50 {
		if _, err := e.each[n%len(e.each)].Put(ctx, "ordered", fmt.Sprint(n)); err != nil {
			return err
		}
		if _, err := kv.Get(ctx, "ordered"); err != nil {
			return err
		}
		got, err := kv.Get(ctx, "ordered", clientv3.WithSerializable())
		if err != nil {
			return err
		}
		if err := want("a serializable read after a linearizable one", keys(got), fmt.Sprint("ordered=", n)); err != nil {
			return err
		}
	}
	return nil
}

// leased: clients that cache what they own hear of others' writes in time.
func leased(ctx context.Context, e *env) error {
	one, closeOne, err := leasing.NewKV(e.each[0], "leasing/")
	if err != nil {
		return err
	}
	defer closeOne()
	two, closeTwo, err := leasing.NewKV(e.other(), "leasing/")
	if err != nil {
		return err
	}
	defer closeTwo()
	for n := range 5 {
		writer, reader := one, two
		if n%2 == 1 {
			writer, reader = two, one
		}
		if _, err := writer.Put(ctx, "leased", fmt.Sprint(n)); err != nil {
			return err
		}
		for _, kv := range []clientv3.KV{reader, reader, writer} {
			got, err := kv.Get(ctx, "leased")
			if err != nil {
				return err
			}
			if err := want("through the cache", keys(got), fmt.Sprint("leased=", n)); err != nil {
				return err
			}
		}
	}
	return nil
}
