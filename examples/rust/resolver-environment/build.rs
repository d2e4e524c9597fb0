//! Makes the stubs from a descriptor set, so that neither protoc nor a parser of .proto files is compiled here:
//! `buf build --path proto/secretresolver --output examples/rust/resolver-environment/stubs/resolver.binpb` in the repository.

use prost::Message;

const DESCRIPTORS: &str = "stubs/resolver.binpb";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={DESCRIPTORS}");
    let bytes = std::fs::read(DESCRIPTORS).map_err(|error| {
        format!("{DESCRIPTORS}: {error}; make it with the command at the top of build.rs")
    })?;
    let descriptors = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    tonic_prost_build::configure()
        .build_server(false)
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
