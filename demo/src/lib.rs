//! Seeded workloads with a known answer.
