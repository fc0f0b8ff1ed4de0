# XEP-0289 7: a node that has not joined cannot speak, and makes no occupants
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>Ay me</body></message>
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
alice receives nothing
tower receives nothing
