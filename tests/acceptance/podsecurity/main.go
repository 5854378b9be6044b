// Says which pods Kubernetes' own checks of Pod Security "restricted" refuse, and why.
//
// Reads a JSON list of pods (name, metadata, spec); writes a JSON object of the refused ones.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

type pod struct {
	Name     string            `json:"name"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     corev1.PodSpec    `json:"spec"`
}

func main() {
	var pods []pod
	if err := json.NewDecoder(os.Stdin).Decode(&pods); err != nil {
		log.Fatal(err)
	}
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		log.Fatal(err)
	}
	refused := map[string][]string{}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, pod := range pods {
		for _, result := range checks.EvaluatePod(level, &pod.Metadata, &pod.Spec) {
			if !result.Allowed {
				refused[pod.Name] = append(refused[pod.Name], result.ForbiddenReason+": "+result.ForbiddenDetail)
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(refused); err != nil {
		log.Fatal(err)
	}
}
