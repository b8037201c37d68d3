package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
)

func lease(ctx context.Context, e *env) error {
	here, there := e.each[0], e.other()
	grant, err := here.Grant(ctx, 60)
	if err != nil {
		return err
	}
	for _, key := range []string{"lease/a", "lease/b"} {
		if _, err := there.Put(ctx, key, "", clientv3.WithLease(grant.ID)); err != nil {
			return err
		}
	}
	alive, err := there.KeepAlive(ctx, grant.ID)
	if err != nil {
		return err
	}
	if renewed := <-alive; renewed == nil || renewed.TTL != 60 {
		return fmt.Errorf("kept alive: %+v", renewed)
	}
	once, err := here.KeepAliveOnce(ctx, grant.ID)
	if err != nil {
		return err
	}
	left, err := there.TimeToLive(ctx, grant.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	list, err := there.Leases(ctx)
	if err != nil {
		return err
	}
	listed := false
	for _, of := range list.Leases {
		listed = listed || of.ID == grant.ID
	}
	if err := first(
		want("once", once.TTL, 60),
		want("granted", left.GrantedTTL, 60),
		want("attached", fmt.Sprintf("%s", left.Keys), "[lease/a lease/b]"),
		want("listed", listed, true),
	); err != nil {
		return err
	}
	if _, err := there.Revoke(ctx, grant.ID); err != nil {
		return err
	}
	got, err := here.Get(ctx, "lease/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	gone, err := here.TimeToLive(ctx, grant.ID)
	if err != nil {
		return err
	}
	_, notFound := here.KeepAliveOnce(ctx, grant.ID)
	_, exists := grantTwice(ctx, here)
	return first(
		want("keys after the revocation", keys(got), ""),
		want("time to live after it", gone.TTL, -1),
		want("kept alive after it", errors.Is(notFound, rpctypes.ErrLeaseNotFound), true),
		want("a lease twice", errors.Is(exists, rpctypes.ErrLeaseExist), true),
	)
}

func grantTwice(ctx context.Context, client *clientv3.Client) (*pbGrant, error) {
	request := func() (*pbGrant, error) { return grantID(ctx, client, 815) }
	if _, err := request(); err != nil {
		return nil, err
	}
	return request()
}

// leaseExpiry: both keys go in one revision, and a watch on the other server hears of it.
func leaseExpiry(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	grant, err := e.each[0].Grant(ctx, 2)
	if err != nil {
		return err
	}
	begun := time.Now()
	ops := []clientv3.Op{clientv3.OpPut("expiry/a", "", clientv3.WithLease(grant.ID)), clientv3.OpPut("expiry/b", "", clientv3.WithLease(grant.ID))}
	put, err := e.each[0].Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return err
	}
	watch := e.other().Watch(ctx, "expiry/", clientv3.WithPrefix(), clientv3.WithRev(put.Header.Revision+1))
	response := <-watch
	if response.Err() != nil {
		return response.Err()
	}
	if err := want("events at once", len(response.Events), 2); err != nil {
		return err
	}
	if age := time.Since(begun); age < time.Second {
		return fmt.Errorf("expired after %v", age)
	}
	return want("events", fmt.Sprint(response.Events[0].Type, response.Events[1].Type), "DELETE DELETE")
}

// mutex: goroutines on both servers count in turns; none reads what another is about to write.
func mutex(ctx context.Context, e *env) error {
	const holders, turns = 6, 5
	var group sync.WaitGroup
	errs := make(chan error, holders)
	for n := range holders {
		group.Go(func() { errs <- countInTurns(ctx, e.each[n%len(e.each)], turns) })
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	got, err := e.all.Get(ctx, "mutex/count")
	if err != nil {
		return err
	}
	return want("counted", string(got.Kvs[0].Value), strconv.Itoa(holders*turns))
}

func countInTurns(ctx context.Context, client *clientv3.Client, turns int) error {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(30))
	if err != nil {
		return err
	}
	defer session.Close()
	mutex := concurrency.NewMutex(session, "mutex/lock")
	for range turns {
		if err := mutex.Lock(ctx); err != nil {
			return err
		}
		got, err := client.Get(ctx, "mutex/count")
		if err != nil {
			return err
		}
		count := 0
		if len(got.Kvs) > 0 {
			count, _ = strconv.Atoi(string(got.Kvs[0].Value))
		}
		put, err := client.Txn(ctx).If(mutex.IsOwner()).Then(clientv3.OpPut("mutex/count", strconv.Itoa(count+1))).Commit()
		if err != nil {
			return err
		}
		if err := first(want("the owner writes", put.Succeeded, true), mutex.Unlock(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// mutexTry: who does not get it hears so; who dies gives it back.
func mutexTry(ctx context.Context, e *env) error {
	one, err := concurrency.NewSession(e.each[0], concurrency.WithTTL(2))
	if err != nil {
		return err
	}
	two, err := concurrency.NewSession(e.other())
	if err != nil {
		return err
	}
	defer two.Close()
	first, second := concurrency.NewMutex(one, "mutex/try"), concurrency.NewMutex(two, "mutex/try")
	if err := first.TryLock(ctx); err != nil {
		return err
	}
	if err := second.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		return fmt.Errorf("%v, expected %v", err, concurrency.ErrLocked)
	}
	// No more renewals: the lease runs out.
	one.Orphan()
	if err := second.Lock(ctx); err != nil {
		return err
	}
	return second.Unlock(ctx)
}

func election(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var elections []*concurrency.Election
	for _, client := range []*clientv3.Client{e.each[0], e.other()} {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return err
		}
		defer session.Close()
		elections = append(elections, concurrency.NewElection(session, "election"))
	}
	leader, heir := elections[0], elections[1]
	if _, err := leader.Leader(ctx); !errors.Is(err, concurrency.ErrElectionNoLeader) {
		return fmt.Errorf("%v, expected %v", err, concurrency.ErrElectionNoLeader)
	}
	if err := leader.Campaign(ctx, "one"); err != nil {
		return err
	}
	observed := heir.Observe(ctx)
	seen := []string{string((<-observed).Kvs[0].Value)}
	if err := leader.Proclaim(ctx, "one still"); err != nil {
		return err
	}
	seen = append(seen, string((<-observed).Kvs[0].Value))
	won := make(chan error, 1)
	go func() { won <- heir.Campaign(ctx, "two") }()
	select {
	case err := <-won:
		return fmt.Errorf("elected beside the leader: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := leader.Resign(ctx); err != nil {
		return err
	}
	if err := <-won; err != nil {
		return err
	}
	seen = append(seen, string((<-observed).Kvs[0].Value))
	now, err := leader.Leader(ctx)
	if err != nil {
		return err
	}
	return first(want("observed", seen, "[one one still two]"), want("the leader", string(now.Kvs[0].Value), "two"), heir.Resign(ctx))
}

// stm: transfers between accounts from both servers at once keep the sum.
func stm(ctx context.Context, e *env) error {
	const accounts, workers, transfers = 4, 4, 10
	account := func(n int) string { return fmt.Sprint("stm/", n%accounts) }
	for n := range accounts {
		if _, err := e.all.Put(ctx, account(n), "100"); err != nil {
			return err
		}
	}
	levels := []concurrency.Isolation{concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.RepeatableReads}
	var group sync.WaitGroup
	errs := make(chan error, workers)
	for worker := range workers {
		group.Go(func() {
			for n := range transfers {
				from, to := account(worker+n), account(worker+n+1+n%(accounts-1))
				move := func(stm concurrency.STM) error {
					less, _ := strconv.Atoi(stm.Get(from))
					more, _ := strconv.Atoi(stm.Get(to))
					stm.Put(from, strconv.Itoa(less-1))
					stm.Put(to, strconv.Itoa(more+1))
					return nil
				}
				level := concurrency.WithIsolation(levels[n%len(levels)])
				client := e.each[worker%len(e.each)]
				if _, err := concurrency.NewSTM(client, move, level, concurrency.WithAbortContext(ctx)); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	got, err := e.other().Get(ctx, "stm/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	sum := 0
	for _, kv := range got.Kvs {
		amount, _ := strconv.Atoi(string(kv.Value))
		sum += amount
	}
	return want("the sum", sum, accounts*100)
}

// naming keeps a service's addresses in the store.
func naming(ctx context.Context, e *env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	here, err := endpoints.NewManager(e.each[0], "service")
	if err != nil {
		return err
	}
	there, err := endpoints.NewManager(e.other(), "service")
	if err != nil {
		return err
	}
	if err := here.AddEndpoint(ctx, "service/1", endpoints.Endpoint{Addr: "10.0.0.1:1", Metadata: "one"}); err != nil {
		return err
	}
	updates, err := there.NewWatchChannel(ctx)
	if err != nil {
		return err
	}
	known := <-updates
	if err := here.DeleteEndpoint(ctx, "service/1"); err != nil {
		return err
	}
	gone := <-updates
	list, err := there.List(ctx)
	if err != nil {
		return err
	}
	data, err := json.Marshal(known[0].Endpoint)
	if err != nil {
		return err
	}
	return first(
		want("known", string(data), `{"Addr":"10.0.0.1:1","Metadata":"one"}`),
		want("gone", fmt.Sprint(gone[0].Op == endpoints.Delete, " ", gone[0].Key), "true service/1"),
		want("left", len(list), 0),
	)
}
