package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

type pbGrant = pb.LeaseGrantResponse

// grantID asks for a lease by its number, which clientv3 does not.
func grantID(ctx context.Context, client *clientv3.Client, id int64) (*pbGrant, error) {
	response, err := clientv3.RetryLeaseClient(client).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: 60})
	return response, rpctypes.Error(err)
}

// syncEndpoints: a client that knows one server learns of the others, and goes on with them.
func syncEndpoints(ctx context.Context, e *env) error {
	client, err := e.client(clientv3.Config{Endpoints: e.endpoints[:1]})
	if err != nil {
		return err
	}
	defer client.Close()
	expected := slices.Sorted(slices.Values(e.endpoints))
	for {
		if err := client.Sync(ctx); err != nil {
			return err
		}
		known := slices.Sorted(slices.Values(client.Endpoints()))
		if slices.Equal(known, expected) {
			break
		}
		// A server is known to the others some seconds after its start.
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return want("endpoints", known, expected)
		}
	}
	list, err := client.MemberList(ctx)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, member := range list.Members {
		names[member.Name] = true
	}
	_, err = client.Put(ctx, "synced", "")
	return first(err, want("names of members", len(names), len(e.endpoints)))
}

func status(ctx context.Context, e *env) error {
	clusters := map[uint64]bool{}
	for _, endpoint := range e.endpoints {
		answer, err := e.all.Status(ctx, endpoint)
		if err != nil {
			return err
		}
		clusters[answer.Header.ClusterId] = true
		if answer.DbSize <= 0 || answer.Leader == 0 || answer.Version == "" || len(answer.Errors) > 0 || answer.IsLearner {
			return fmt.Errorf("%+v", answer)
		}
		if _, err := e.all.Defragment(ctx, endpoint); err != nil {
			return err
		}
	}
	alarms, err := e.all.AlarmList(ctx)
	if err != nil {
		return err
	}
	return first(want("clusters", len(clusters), 1), want("alarms", len(alarms.Alarms), 0))
}

// hash: the servers hold the same, byte for byte.
func hash(ctx context.Context, e *env) error {
	put, err := e.all.Put(ctx, "hash", "")
	if err != nil {
		return err
	}
	hashes := map[uint32]bool{}
	for n, endpoint := range e.endpoints {
		// The read makes sure that this server knows the revision.
		if _, err := e.each[n].Get(ctx, "hash"); err != nil {
			return err
		}
		answer, err := e.all.HashKV(ctx, endpoint, put.Header.Revision)
		if err != nil {
			return err
		}
		hashes[answer.Hash] = true
	}
	return want("hashes", len(hashes), 1)
}

func snapshot(ctx context.Context, e *env) error {
	answer, err := e.each[0].SnapshotWithVersion(ctx)
	if err != nil {
		return err
	}
	defer answer.Snapshot.Close()
	file, err := io.ReadAll(answer.Snapshot)
	if err != nil {
		return err
	}
	if len(file) < sha256.Size || len(file)%512 != sha256.Size {
		return fmt.Errorf("%d bytes", len(file))
	}
	content, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	expected := sha256.Sum256(content)
	return first(want("the hash at the end", bytes.Equal(sum, expected[:]), true), want("a version", answer.Version != "", true))
}

// auth turns authentication on and off again. Who may what is one truth of all servers.
func auth(ctx context.Context, e *env) (err error) {
	admin := e.each[0]
	for _, name := range []string{"root", "reader"} {
		if _, err := admin.UserAdd(ctx, name, name+"'s password"); err != nil {
			return err
		}
	}
	_, err1 := admin.RoleAdd(ctx, "root")
	_, err2 := admin.RoleAdd(ctx, "seen")
	_, err3 := admin.RoleGrantPermission(ctx, "seen", "auth/", clientv3.GetPrefixRangeEnd("auth/"), clientv3.PermissionType(clientv3.PermRead))
	_, err4 := admin.UserGrantRole(ctx, "root", "root")
	_, err5 := admin.UserGrantRole(ctx, "reader", "seen")
	_, err6 := admin.Put(ctx, "auth/a", "1")
	if err := first(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	if _, err := admin.AuthEnable(ctx); err != nil {
		return err
	}
	as := func(name string, endpoints []string) (*clientv3.Client, error) {
		return e.client(clientv3.Config{Endpoints: endpoints, Username: name, Password: name + "'s password"})
	}
	root, err := as("root", e.endpoints)
	if err != nil {
		return err
	}
	defer root.Close()
	defer func() {
		if _, off := root.AuthDisable(ctx); err == nil {
			err = off
		}
	}()
	if _, err := as("nobody", e.endpoints); !errors.Is(err, rpctypes.ErrAuthFailed) {
		return fmt.Errorf("%v, expected %v", err, rpctypes.ErrAuthFailed)
	}
	for n := range e.endpoints {
		reader, err := as("reader", e.endpoints[n:n+1])
		if err != nil {
			return err
		}
		defer reader.Close()
		got, err := reader.Get(ctx, "auth/", clientv3.WithPrefix())
		if err != nil {
			return err
		}
		_, written := reader.Put(ctx, "auth/a", "2")
		_, outside := reader.Get(ctx, "kv/0")
		_, users := reader.UserList(ctx)
		if err := first(
			want("seen", keys(got), "auth/a=1"),
			want("a put", errors.Is(written, rpctypes.ErrPermissionDenied), true),
			want("a get outside", errors.Is(outside, rpctypes.ErrPermissionDenied), true),
			want("the users", errors.Is(users, rpctypes.ErrPermissionDenied), true),
		); err != nil {
			return err
		}
		// A change of the users makes the reader's token old; the client asks for another by itself.
		if _, err := root.UserChangePassword(ctx, "reader", "reader's password"); err != nil {
			return err
		}
		if _, err := reader.Get(ctx, "auth/a"); err != nil {
			return fmt.Errorf("after the users changed: %w", err)
		}
	}
	role, err := root.RoleGet(ctx, "seen")
	if err != nil {
		return err
	}
	on, err := root.AuthStatus(ctx)
	if err != nil {
		return err
	}
	return first(want("permissions", len(role.Perm), 1), want("enabled", on.Enabled, true))
}
