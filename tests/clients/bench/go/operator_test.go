// Package operator shows a test of an operator: envtest starts the two programs that it finds in KUBEBUILDER_ASSETS.
package operator

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func TestOperator(t *testing.T) {
	bench := &envtest.Environment{}
	config, err := bench.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bench.Stop(); err != nil {
			t.Error(err)
		}
	}()

	cluster, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	greeting := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "greeting"},
		Data:       map[string]string{"hello": "world"},
	}
	if err := cluster.Create(context.Background(), greeting); err != nil {
		t.Fatal(err)
	}
	found := &corev1.ConfigMap{}
	if err := cluster.Get(context.Background(), client.ObjectKeyFromObject(greeting), found); err != nil {
		t.Fatal(err)
	}
	if found.Data["hello"] != "world" {
		t.Errorf("found %v", found.Data)
	}
}
