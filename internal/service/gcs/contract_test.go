package gcs_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
)

func TestContract(t *testing.T) {
	client, _ := storagetest.New(t, "one", "other")
	contract.CheckStorage(t, client, "one", "other")
}
