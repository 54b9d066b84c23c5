use super::*;
use crate::Client;
use crate::status::BlockInfo;

/// A node with one block and one rich account.
struct Node;

const RICH: [u8; 20] = [7; 20];

#[async_trait]
impl NodeView for Node {
    async fn status(&self) -> Result<NodeStatus, Refusal> {
        Ok(NodeStatus { head: BlockInfo { height: 26, ..BlockInfo::default() }, ..NodeStatus::default() })
    }

    async fn peers(&self) -> Result<Vec<PeerInfo>, Refusal> {
        Err(Refusal::Unavailable("the peer actor is restarting".into()))
    }

    async fn can_produce(&self) -> Result<ProduceInfo, Refusal> {
        Ok(ProduceInfo { open: true, conditions: vec![] })
    }

    async fn sync_status(&self) -> Result<SyncDetail, Refusal> {
        Ok(SyncDetail { gate: self.can_produce().await?, ..SyncDetail::default() })
    }

    async fn sync_explain(&self) -> Result<ExplainInfo, Refusal> {
        Ok(ExplainInfo { lines: vec!["limit    disk".into()], ..ExplainInfo::default() })
    }

    async fn sync_pause(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn sync_resume(&self) -> Result<(), Refusal> {
        Err(Refusal::Order("sync is not paused".into()))
    }

    async fn sync_target(&self, height: Option<u64>) -> Result<(), Refusal> {
        if height == Some(1) { Err(Refusal::Order("below the durable head".into())) } else { Ok(()) }
    }

    async fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, Refusal> {
        Ok(vec![CheckpointInfo { height: 20, ..CheckpointInfo::default() }])
    }

    async fn create_checkpoint(&self) -> Result<u64, Refusal> {
        Ok(25)
    }

    async fn header(&self, height: u64) -> Result<Option<HeaderInfo>, Refusal> {
        Ok((height == 26).then(HeaderInfo::default))
    }

    fn chain_id(&self) -> u64 {
        212_121
    }

    async fn balance(&self, address: [u8; 20]) -> Result<[u8; 32], Refusal> {
        let mut balance = [0; 32];
        balance[30] = u8::from(address == RICH);
        Ok(balance)
    }

    async fn transaction_count(&self, address: [u8; 20]) -> Result<u64, Refusal> {
        Ok(if address == RICH { 17 } else { 0 })
    }

    async fn submit(&self, raw: Vec<u8>) -> Result<[u8; 32], Refusal> {
        if raw == [1, 2] { Ok([9; 32]) } else { Err(Refusal::Transaction("nonce too low".into())) }
    }
}

async fn serve() -> (Server, Client) {
    let server = Server::start(([127, 0, 0, 1], 0).into(), Arc::new(Node)).await.unwrap();
    let client = Client::new(server.address());
    (server, client)
}

#[tokio::test]
async fn what_the_node_says_arrives() {
    let (server, client) = serve().await;
    assert_eq!(client.status().await.unwrap().head.height, 26);
    assert!(client.can_produce().await.unwrap().open);
    assert!(client.header(26).await.unwrap().is_some());
    assert!(client.header(27).await.unwrap().is_none());
    assert_eq!(client.transaction_count(RICH).await.unwrap(), 17);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_arrives_with_its_reason() {
    let (_server, client) = serve().await;
    let error = client.peers().await.unwrap_err().to_string();
    assert!(error.contains("the peer actor is restarting"), "{error}");
    let error = client.send_raw_transaction(&[3]).await.unwrap_err().to_string();
    assert!(error.contains("nonce too low"), "{error}");
    assert_eq!(client.send_raw_transaction(&[1, 2]).await.unwrap(), format!("0x{}", "09".repeat(32)));
}

#[tokio::test]
async fn orders_arrive_and_those_that_make_no_sense_come_back() {
    let (_server, client) = serve().await;
    assert!(client.sync_status().await.unwrap().gate.open);
    assert_eq!(client.sync_explain().await.unwrap().lines, ["limit    disk"]);
    client.sync_pause().await.unwrap();
    let why = client.sync_resume().await.unwrap_err().to_string();
    assert_eq!(why, "sync is not paused");
    client.sync_target(None).await.unwrap();
    client.sync_target(Some(100)).await.unwrap();
    assert!(client.sync_target(Some(1)).await.is_err());
    assert_eq!(client.create_checkpoint().await.unwrap(), 25);
    assert_eq!(client.checkpoints().await.unwrap()[0].height, 20);
}

#[tokio::test]
async fn who_listens_beyond_this_machine_takes_no_orders() {
    let methods = Methods { node: Arc::new(Node), is_loopback: false };
    let orders = [
        methods.sync_pause().await.unwrap_err(),
        methods.sync_resume().await.unwrap_err(),
        methods.sync_target(None).await.unwrap_err(),
        methods.create_checkpoint().await.unwrap_err(),
    ];
    for refused in orders {
        assert_eq!(refused.code(), REFUSED_CODE);
        assert!(refused.message().contains("loopback"), "{refused}");
    }
    assert!(methods.sync_status().await.is_ok() && methods.checkpoints().await.is_ok(), "reading is free");
}

#[tokio::test]
async fn ethereum_methods_speak_in_quantities() {
    let methods = Methods { node: Arc::new(Node), is_loopback: true };
    assert_eq!(methods.chain_id().await.unwrap(), "0x33c99");
    assert_eq!(methods.block_number().await.unwrap(), "0x1a");
    let rich = format!("0x{}", hex::encode(RICH));
    assert_eq!(methods.balance(rich.clone(), Some("latest".into())).await.unwrap(), "0x100");
    assert_eq!(methods.balance("00".repeat(20), None).await.unwrap(), "0x0");
    assert_eq!(
        EthApiServer::transaction_count(&methods, rich.clone(), Some("pending".into())).await.unwrap(),
        "0x11"
    );
    assert_eq!(methods.balance(rich, Some("0x1".into())).await.unwrap_err().code(), INVALID_PARAMS_CODE);
    assert_eq!(methods.balance("0x12".into(), None).await.unwrap_err().code(), INVALID_PARAMS_CODE);
    let error = EthApiServer::send_raw_transaction(&methods, "zz".into()).await.unwrap_err();
    assert_eq!(error.code(), INVALID_PARAMS_CODE);
}

#[tokio::test]
async fn a_taken_address_is_named_with_its_flag() {
    let (server, _client) = serve().await;
    let error = Server::start(server.address(), Arc::new(Node)).await.err().unwrap().to_string();
    assert!(error.contains(&server.address().to_string()) && error.contains("--rpc"), "{error}");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named() {
    let (server, client) = serve().await;
    let address = server.address().to_string();
    server.stop().await;
    let error = client.status().await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("is it running"), "{error}");
}
