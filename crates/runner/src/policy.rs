//! Trained policies as safetensors files that other programs can open, and the hash of parameters.

use coact_algorithms::AgentPolicy;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::tensors::{NamedTensor, TensorData, encode};

fn tensor<'a>(name: &'a str, t: &'a coact_nets::NamedTensor) -> NamedTensor<'a> {
    NamedTensor { name, shape: &t.shape, data: TensorData::F32(&t.values) }
}

/// One agent's network: tensors named as in `torch.nn.Sequential`, the architecture as metadata.
///
/// # Errors
/// Tensors that cannot be written.
pub fn encode_agent(policy: &AgentPolicy) -> Result<Vec<u8>> {
    let tensors: Vec<NamedTensor<'_>> = policy.tensors.iter().map(|t| tensor(&t.name, t)).collect();
    let mut metadata = vec![("agent", policy.agent.as_str())];
    metadata.extend(policy.architecture.iter().map(|(k, v)| (*k, v.as_str())));
    encode(&tensors, &metadata)
}

/// The whole team in one file, names prefixed with `<agent>.`.
///
/// # Errors
/// Tensors that cannot be written.
pub fn encode_team(policies: &[AgentPolicy]) -> Result<Vec<u8>> {
    let names: Vec<String> = policies
        .iter()
        .flat_map(|p| p.tensors.iter().map(move |t| format!("{}.{}", p.agent, t.name)))
        .collect();
    let all = policies.iter().flat_map(|p| &p.tensors);
    let tensors: Vec<NamedTensor<'_>> = names.iter().zip(all).map(|(name, t)| tensor(name, t)).collect();
    encode(&tensors, &[])
}

/// SHA-256 of the little-endian bytes of all parameters, in hexadecimal: equal hashes are equal bits.
pub fn params_hash(params: &[f32]) -> String {
    let mut hasher = Sha256::new();
    params.chunks(4096).for_each(|chunk| {
        let bytes: Vec<u8> = chunk.iter().flat_map(|p| p.to_le_bytes()).collect();
        hasher.update(&bytes);
    });
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
