// Go's own client against two servers of one cluster: each check is something that clientv3 or a package of it does, and prints one
// line, "PASS name" or "FAIL name: reason". Checks run in order; the last one turns authentication on.
//
// In go the URLs of the servers and the files of a client certificate; what starts the servers is not here.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const patience = 60 * time.Second

// env is what every check gets.
type env struct {
	endpoints []string
	tls       *tls.Config
	// one client a server
	each []*clientv3.Client
	// a client that knows all servers
	all *clientv3.Client
}

type check struct {
	name string
	run  func(context.Context, *env) error
}

var checks = []check{
	{"kv", kv},
	{"kv-errors", kvErrors},
	{"txn", txn},
	{"kubernetes", kubernetesInterface},
	{"namespace", namespaced},
	{"ordering", ordered},
	{"leasing", leased},
	{"watch", watchPrefix},
	{"watch-progress", watchProgress},
	{"watch-compacted", watchCompacted},
	{"watch-many", watchMany},
	{"mirror", mirrored},
	{"lease", lease},
	{"lease-expiry", leaseExpiry},
	{"mutex", mutex},
	{"mutex-try", mutexTry},
	{"election", election},
	{"stm", stm},
	{"naming", naming},
	{"sync", syncEndpoints},
	{"status", status},
	{"hash", hash},
	{"snapshot", snapshot},
	{"auth", auth},
}

func main() {
	endpoints := flag.String("endpoints", "", "URLs of the servers, comma separated")
	files := transport.TLSInfo{}
	flag.StringVar(&files.TrustedCAFile, "cacert", "", "authority of the servers' certificates; none: no TLS")
	flag.StringVar(&files.CertFile, "cert", "", "client certificate")
	flag.StringVar(&files.KeyFile, "key", "", "key of --cert")
	flag.Parse()

	e, err := connect(strings.Split(*endpoints, ","), files)
	if err != nil {
		fmt.Println("FAIL connect:", err)
		os.Exit(1)
	}
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := c.run(ctx, e)
		cancel()
		if err != nil {
			failed++
			fmt.Printf("FAIL %s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("PASS", c.name)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func connect(endpoints []string, files transport.TLSInfo) (*env, error) {
	e := &env{endpoints: endpoints}
	if !files.Empty() {
		config, err := files.ClientConfig()
		if err != nil {
			return nil, err
		}
		e.tls = config
	}
	for _, endpoint := range endpoints {
		client, err := e.client(clientv3.Config{Endpoints: []string{endpoint}})
		if err != nil {
			return nil, err
		}
		e.each = append(e.each, client)
	}
	all, err := e.client(clientv3.Config{Endpoints: endpoints})
	e.all = all
	return e, err
}

// client fills in what all clients share.
func (e *env) client(config clientv3.Config) (*clientv3.Client, error) {
	config.TLS = e.tls
	config.DialTimeout = 5 * time.Second
	config.Logger = zap.NewNop()
	return clientv3.New(config)
}

// other is a client of another server than the first, where there is one.
func (e *env) other() *clientv3.Client {
	return e.each[len(e.each)-1]
}

// want is nil where what was seen is what was expected.
func want(what string, seen, expected any) error {
	if fmt.Sprint(seen) != fmt.Sprint(expected) {
		return fmt.Errorf("%s: %v, expected %v", what, seen, expected)
	}
	return nil
}

// first is the first error there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
